from secrets import randbelow

from django.core.mail import send_mail
from django.http import JsonResponse


def send_code(request):
    code = f"{randbelow(1_000_000):06}"
    request.session["otp"] = code
    send_mail("Your code", code, "no-reply@example.com", [request.user.email])
    return JsonResponse({"sent": True})
