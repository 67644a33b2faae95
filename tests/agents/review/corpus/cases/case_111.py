import html

from django.http import HttpResponse


class Snippet:
    def __init__(self, text):
        self.text = text

    def shortened(self, limit):
        plain = self.text
        return html.escape(plain if len(plain) <= limit else plain[:limit] + "…")


def excerpt(request):
    snippet = Snippet(request.POST.get("text", ""))
    return HttpResponse("<blockquote>" + snippet.shortened(140) + "</blockquote>")
