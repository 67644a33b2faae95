from django.http import JsonResponse
from django.views.decorators.http import require_POST


def remember(session, key, value):
    session[key] = value
    session.set_expiry(3600)


@require_POST
def act_as(request):
    remember(request.session, "user_id", request.META.get("HTTP_X_USER_ID"))
    return JsonResponse({"acting": True})
