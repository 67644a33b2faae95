from django.http import HttpResponse
from mako.template import Template

PAGE = Template("<div class='banner'>${text | h}</div>")


def banner(request):
    text = request.GET.get("text", "Welcome")
    parts = [text, request.user.get_username()]
    return HttpResponse(PAGE.render(text=", ".join(parts)))
