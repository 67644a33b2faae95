from django.http import HttpResponse
from mako.template import Template


def banner(request):
    text = request.GET.get("text", "Welcome")
    parts = ["<div class='banner'>", text, "</div>"]
    if request.user.is_anonymous:
        parts.append("<a href='/login'>Sign in</a>")
    page = Template("".join(parts))
    return HttpResponse(page.render(user=request.user.get_username()))
