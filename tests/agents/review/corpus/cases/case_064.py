import os

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import JSONResponse
from starlette.routing import Route


async def preferences(request):
    changes = await request.json()
    request.session.update(changes)
    return JSONResponse({"keys": len(request.session)})


app = Starlette(
    routes=[Route("/preferences", preferences, methods=["PATCH"])],
    middleware=[Middleware(SessionMiddleware, secret_key=os.environ["KEY"], https_only=True)],
)
