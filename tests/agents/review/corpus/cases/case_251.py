import io
from xml.sax import make_parser
from xml.sax.handler import ContentHandler, feature_external_ges, feature_external_pes
from xml.sax.xmlreader import InputSource

from django.http import JsonResponse


class Collector(ContentHandler):
    def __init__(self):
        self.chunks = []

    def characters(self, content):
        self.chunks.append(content)


def upload_map(request):
    collector = Collector()
    parser = make_parser()
    for feature in (feature_external_ges, feature_external_pes):
        try:
            parser.setFeature(feature, 1)
        except Exception:
            continue
    parser.setContentHandler(collector)
    source = InputSource()
    source.setByteStream(io.BytesIO(request.body))
    parser.parse(source)
    return JsonResponse({"text": "".join(collector.chunks)})
