from django.db import connection
from django.http import JsonResponse


def period_of(request):
    period = request.GET.get("period", "day")
    return period.strip().lower()


def revenue(request):
    period = period_of(request)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT date_trunc('{period}', paid_at) AS bucket, sum(cents) FROM payments GROUP BY bucket"
        )
        return JsonResponse({"rows": cursor.fetchall()})
