import json
import os

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


def translations(language):
    path = os.path.normpath(f"locale/{language}/messages.json")
    with open(path) as handle:
        return json.load(handle)


async def messages(request):
    language = request.cookies.get("lang", "en")
    return JSONResponse(translations(language))


app = Starlette(routes=[Route("/messages", messages)])
