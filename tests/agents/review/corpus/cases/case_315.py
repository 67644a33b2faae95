import json

from django.http import JsonResponse
from django.views import View
from lxml import etree


class PartSearch(View):
    document = etree.parse("/srv/parts/parts.xml")
    expression = etree.XPath("//part[supplier = $supplier]")

    def post(self, request):
        wanted = json.loads(request.body)["supplier"]
        found = self.expression(self.document, supplier=str(wanted))
        return JsonResponse({"parts": [part.get("no") for part in found]})
