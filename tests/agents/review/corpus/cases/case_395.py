from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.template import Context, Template


def render_notice(draft, user):
    context = Context({"user": user, "draft": draft})
    return Template("{% load i18n %}{{ draft|linebreaks }}").render(context)


@login_required
def notice(request):
    draft = request.POST.get("draft", "")
    return HttpResponse(render_notice(draft, request.user))
