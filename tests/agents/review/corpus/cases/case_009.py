from django.http import HttpResponse
from django.views import View


class RememberMe(View):
    name = "remember"
    days = 30

    def post(self, request):
        response = HttpResponse(status=204)
        value = str(request.user.pk)
        response.set_signed_cookie(
            self.name, value, max_age=self.days * 86_400, httponly=True, secure=True, samesite="Lax"
        )
        return response
