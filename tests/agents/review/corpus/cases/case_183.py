from django.db import models
from django.http import JsonResponse
from django.views import View


class Invoice(models.Model):
    number = models.CharField(max_length=20)
    customer = models.CharField(max_length=80)

    class Meta:
        app_label = "billing"


class InvoiceSearch(View):
    def get(self, request):
        term = request.GET.get("q", "").strip()
        found = Invoice.objects.raw(
            "SELECT * FROM billing_invoice WHERE customer LIKE %s", ["%" + term + "%"]
        )
        return JsonResponse({"numbers": [invoice.number for invoice in found]})
