import os

from django.http import FileResponse, Http404

MEDIA = "/srv/media/"


def media(request):
    path = os.path.join(MEDIA, request.GET["file"])
    if not path.startswith(MEDIA):
        raise Http404
    return FileResponse(open(path, "rb"))
