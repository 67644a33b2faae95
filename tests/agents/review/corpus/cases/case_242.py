from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.template import Context, Template


def render_notice(source, user):
    context = Context({"user": user})
    return Template(source).render(context)


@login_required
def notice(request):
    draft = request.POST.get("draft", "")
    source = "{% load i18n %}" + draft
    return HttpResponse(render_notice(source, request.user))
