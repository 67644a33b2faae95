from django.contrib.auth.decorators import login_required
from django.http import JsonResponse

from crm.models import Customer


@login_required
def customers_near(request, region):
    since = request.GET.get("since", "2020-01-01")
    chosen = (
        Customer.objects.filter(region=region)
        .extra(where=[f"joined >= '{since}'"])
        .order_by("name")
    )
    return JsonResponse({"customers": list(chosen.values("id", "name"))})
