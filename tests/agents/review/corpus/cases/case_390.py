import os
import platform

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

FUNCTIONS = {"cpus": os.cpu_count, "system": platform.system, "release": platform.release}


async def info(request):
    call = await request.json()
    function = FUNCTIONS.get(call["function"], platform.system)
    result = function()
    return JSONResponse({"result": repr(result)})


app = Starlette(routes=[Route("/info", info, methods=["POST"])])
