from django.shortcuts import render
from django.utils.safestring import mark_safe

from forum.models import Post


def post(request, pk):
    entry = Post.objects.get(pk=pk)
    highlighted = entry.body.replace(
        request.GET.get("mark", ""), "<mark>" + request.GET.get("mark", "") + "</mark>"
    )
    return render(request, "forum/post.html", {"body": mark_safe(highlighted)})
