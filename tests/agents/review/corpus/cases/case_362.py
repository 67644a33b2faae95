from urllib.parse import urlsplit

from django.http import HttpResponse
from django.utils.html import escape


def homepage(request):
    link = request.GET.get("homepage", "")
    if urlsplit(link).scheme not in ("http", "https"):
        link = "#"
    body = '<a href="%s">visit</a>' % escape(link)
    return HttpResponse(body)
