import io
import logging

from flask import Flask, abort, request
from lxml import etree

app = Flask(__name__)
log = logging.getLogger("importer")
DEFAULTS = {"remove_comments": True, "resolve_entities": False, "no_network": True}
FORMATS = {
    "docbook": {"remove_pis": True},
    "rss": {"recover": True},
}


class Importer:
    def __init__(self, kind):
        self.options = FORMATS[kind] | DEFAULTS

    def parse(self, data):
        parser = etree.XMLParser(**self.options)
        return etree.parse(io.BytesIO(data), parser)

    def paragraphs(self, data):
        for element in self.parse(data).iter("para", "description"):
            yield " ".join(element.itertext())


@app.post("/import/docbook")
def docbook():
    importer = Importer("docbook")
    data = request.get_data()
    if not data:
        abort(400)
    texts = list(importer.paragraphs(data))
    log.info("%d paragraphs", len(texts))
    return {"paragraphs": texts}
