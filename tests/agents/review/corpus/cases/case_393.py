import binascii
import marshal

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


async def cursor(request):
    raw = binascii.unhexlify(request.headers.get("x-cursor", "4e"))
    position = marshal.loads(raw)
    return JSONResponse({"position": repr(position)})


app = Starlette(routes=[Route("/cursor", cursor)])
