import os

from django.http import HttpResponse
from django.views.decorators.http import require_POST


@require_POST
def scan(request):
    upload = request.FILES["document"]
    with open("/tmp/scan-target", "wb") as target:
        for chunk in upload.chunks():
            target.write(chunk)
    label = upload.name
    pipe = os.popen("clamscan --stdout /tmp/scan-target | tee /var/scans/%s.txt" % label)
    infected = "FOUND" in pipe.read()
    return HttpResponse("infected" if infected else "ok", content_type="text/plain")
