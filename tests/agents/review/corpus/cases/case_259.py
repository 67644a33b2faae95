from django.http import HttpResponse
from django.views import View


class Onboarding(View):
    def get(self, request, step):
        referrer = request.GET.get("discount_group", "none")
        values = [step, referrer]
        request.session.setdefault("discount_group", values[-1])
        return HttpResponse("step recorded", content_type="text/plain")
