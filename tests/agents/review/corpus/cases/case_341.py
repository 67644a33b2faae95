import asyncio

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


async def checkout(request):
    branch = request.path_params["branch"]
    process = await asyncio.create_subprocess_exec(
        "git", "-C", "/srv/site", "checkout", "origin/" + branch, stdout=asyncio.subprocess.DEVNULL
    )
    return JSONResponse({"code": await process.wait()})


app = Starlette(routes=[Route("/deploy/{branch:path}", checkout, methods=["POST"])])
