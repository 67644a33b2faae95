import os

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import JSONResponse
from starlette.routing import Route

LANGUAGES = {"en", "fr", "de"}


async def preferences(request):
    changes = await request.json()
    language = changes.get("language")
    request.session["language"] = language if language in LANGUAGES else "en"
    request.session["page_size"] = max(10, min(100, int(changes.get("page_size", 20))))
    return JSONResponse({"keys": len(request.session)})


app = Starlette(
    routes=[Route("/preferences", preferences, methods=["PATCH"])],
    middleware=[Middleware(SessionMiddleware, secret_key=os.environ["KEY"], https_only=True)],
)
