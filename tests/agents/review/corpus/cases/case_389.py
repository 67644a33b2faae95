from django.contrib.auth import authenticate
from django.http import JsonResponse
from django.views.decorators.http import require_POST


def remember(session, key, value):
    session[key] = value
    session.set_expiry(3600)


@require_POST
def act_as(request):
    user = authenticate(request, username=request.POST["name"], password=request.POST["password"])
    if user is None:
        return JsonResponse({"acting": False}, status=403)
    remember(request.session, "user_id", user.pk)
    return JsonResponse({"acting": True})
