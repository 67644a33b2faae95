from defusedxml import ElementTree
from django.http import JsonResponse
from django.views.decorators.http import require_POST


def parse_invoice(stream):
    return ElementTree.parse(stream, forbid_dtd=True)


@require_POST
def invoice(request):
    document = parse_invoice(request.FILES["invoice"])
    return JsonResponse({"total": document.findtext(".//total")})
