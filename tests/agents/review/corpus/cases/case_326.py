from django.http import HttpResponse
from django.utils.html import escape


def homepage(request):
    link = escape(request.GET.get("homepage", ""))
    if not link:
        link = "#"
    body = '<a href="%s">visit</a>' % link
    return HttpResponse(body)
