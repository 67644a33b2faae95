import xml.etree.ElementTree as ET

from django.http import JsonResponse


class Collector:
    def __init__(self):
        self.chunks = []

    def start(self, tag, attributes):
        self.chunks.append(tag)

    def end(self, tag):
        pass

    def data(self, data):
        self.chunks.append(data)

    def close(self):
        return "".join(self.chunks)


def upload_map(request):
    parser = ET.XMLParser(target=Collector())
    parser.feed(request.body)
    return JsonResponse({"text": parser.close()})
