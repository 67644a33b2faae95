from lxml import etree
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


def envelope_parser():
    return etree.XMLParser(load_dtd=True, resolve_entities=True, attribute_defaults=True, no_network=False)


async def soap(request):
    form = await request.form()
    envelope = await form["envelope"].read()
    root = etree.fromstring(envelope, envelope_parser())
    body = root.find("{http://schemas.xmlsoap.org/soap/envelope/}Body")
    return JSONResponse({"operations": [child.text for child in body]})


app = Starlette(routes=[Route("/soap", soap, methods=["POST"])])
