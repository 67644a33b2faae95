from django.http import JsonResponse


def evaluate(formula, values):
    scope = {"__builtins__": {}, "min": min, "max": max}
    return eval(formula, scope, values)


def price(request):
    formula = request.POST["formula"]
    amount = evaluate(formula, {"base": 100, "tax": 19})
    return JsonResponse({"amount": float(amount)})
