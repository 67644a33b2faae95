import uuid

from aiohttp import web
from aiohttp_session import get_session

routes = web.RouteTableDef()


@routes.post("/avatar")
async def avatar(request):
    form = await request.post()
    session = await get_session(request)
    details = {"name": form["avatar"].filename, "by": request.remote}
    details["name"] = uuid.uuid4().hex
    session["avatar"] = details["name"]
    return web.json_response({"stored": True})
