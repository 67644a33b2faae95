from defusedxml import minidom
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


async def soap(request):
    form = await request.form()
    envelope = await form["envelope"].read()
    document = minidom.parseString(envelope)
    bodies = document.getElementsByTagNameNS("http://schemas.xmlsoap.org/soap/envelope/", "Body")
    return JSONResponse({"operations": [body.firstChild.nodeName for body in bodies]})


app = Starlette(routes=[Route("/soap", soap, methods=["POST"])])
