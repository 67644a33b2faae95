from django.http import JsonResponse

FORMULAS = {"net": "base", "gross": "base + tax", "discounted": "base * 0.9 + tax"}


def evaluate(formula, values):
    scope = {"__builtins__": {}}
    return eval(formula, scope, values)


def price(request):
    formula = FORMULAS.get(request.POST["formula"], "base")
    amount = evaluate(formula, {"base": 100, "tax": 19})
    return JsonResponse({"amount": float(amount)})
