from django.shortcuts import render
from django.utils.html import format_html, format_html_join

from forum.models import Post


def post(request, pk):
    entry = Post.objects.get(pk=pk)
    mark = request.GET.get("mark", "") or "\n"
    pieces = entry.body.split(mark)
    joined = format_html_join(format_html("<mark>{}</mark>", mark), "{}", ((piece,) for piece in pieces))
    return render(request, "forum/post.html", {"body": joined})
