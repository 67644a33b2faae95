from flask import Flask, abort, request
from lxml import etree

app = Flask(__name__)
SCHEMA_FILE = "/opt/app/schema/main.xml"


def schema():
    parser = etree.XMLParser(load_dtd=True, resolve_entities=True)
    return etree.parse(SCHEMA_FILE, parser)


@app.route("/sync", methods=["PUT"])
def sync():
    data = request.get_data()
    if len(data) > 100_000:
        abort(413)
    known = {element.tag for element in schema().iter()}
    return {"known": data.decode("utf-8", "replace").strip("<>") in known}
