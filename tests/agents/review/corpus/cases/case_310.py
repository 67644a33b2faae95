from django.http import HttpResponse
from django.views import View


class Onboarding(View):
    def get(self, request, step):
        referrer = request.GET.get("discount_group", "none")
        values = [int(step), referrer]
        request.session.setdefault("onboarding_step", values[0])
        return HttpResponse("step recorded", content_type="text/plain")
