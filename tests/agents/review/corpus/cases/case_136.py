from django.http import JsonResponse
from django.views import View
from lxml import etree
import json


class PartSearch(View):
    document = etree.parse("/srv/parts/parts.xml")

    def post(self, request):
        wanted = json.loads(request.body)["supplier"]
        expression = etree.XPath("//part[supplier = \"" + wanted + "\"]")
        return JsonResponse({"parts": [part.get("no") for part in expression(self.document)]})
