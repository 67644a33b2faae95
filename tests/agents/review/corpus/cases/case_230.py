from enum import Enum

from django.db import connection
from django.http import HttpResponseBadRequest, JsonResponse


class Period(Enum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


def revenue(request):
    try:
        period = Period(request.GET.get("period", "day"))
    except ValueError:
        return HttpResponseBadRequest("period")
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT date_trunc('{period.value}', paid_at) AS bucket, sum(cents) FROM payments GROUP BY bucket"
        )
        return JsonResponse({"rows": cursor.fetchall()})
