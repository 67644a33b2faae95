from django.core.signing import dumps
from django.http import HttpResponse
from django.views import View


class RememberMe(View):
    name = "remember"
    days = 30

    def post(self, request):
        response = HttpResponse(status=204)
        value = dumps({"user": request.user.pk})
        response.set_cookie(self.name, value, max_age=self.days * 86_400, httponly=True)
        return response
