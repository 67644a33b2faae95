import uuid

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

invitations = {}


async def invite(request):
    form = await request.form()
    code = uuid.uuid1().hex
    invitations[code] = form["email"]
    return JSONResponse({"link": f"https://team.example.com/join/{code}"})


app = Starlette(routes=[Route("/invite", invite, methods=["POST"])])
