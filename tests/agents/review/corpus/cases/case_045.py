from django import forms
from django.http import JsonResponse
from django.views.decorators.http import require_POST


class CurrencyForm(forms.Form):
    currency = forms.ChoiceField(choices=[("EUR", "Euro"), ("USD", "Dollar"), ("CHF", "Franc")])


@require_POST
def currency(request):
    form = CurrencyForm(request.POST)
    if not form.is_valid():
        return JsonResponse(form.errors, status=400)
    request.session["currency"] = form.cleaned_data["currency"]
    return JsonResponse({"stored": True})
