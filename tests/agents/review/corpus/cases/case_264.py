from django.http import JsonResponse
from django.views.decorators.http import require_POST
from lxml import etree


def parse_invoice(stream):
    options = {"load_dtd": True, "no_network": False, "resolve_entities": True}
    return etree.parse(stream, etree.XMLParser(**options))


@require_POST
def invoice(request):
    document = parse_invoice(request.FILES["invoice"])
    return JsonResponse({"total": document.findtext(".//total")})
