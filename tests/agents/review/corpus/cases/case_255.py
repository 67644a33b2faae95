import binascii
import struct

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


async def cursor(request):
    raw = binascii.unhexlify(request.headers.get("x-cursor", "00000000"))
    (position,) = struct.unpack("!I", raw[:4])
    return JSONResponse({"position": repr(position)})


app = Starlette(routes=[Route("/cursor", cursor)])
