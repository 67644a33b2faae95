import os

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import JSONResponse
from starlette.routing import Route


async def home(request):
    request.session.setdefault("visits", 0)
    request.session["visits"] += 1
    return JSONResponse({"visits": request.session["visits"]})


middleware = [Middleware(SessionMiddleware, secret_key=os.environ["KEY"], same_site="strict")]
app = Starlette(routes=[Route("/", home)], middleware=middleware)
