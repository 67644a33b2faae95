import re

from lxml import html
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

page = html.parse("/srv/www/index.html")


async def section(request):
    anchor = request.query_params.get("anchor", "top")
    if not re.fullmatch(r"[a-z][a-z0-9-]*", anchor):
        return JSONResponse({"error": "anchor"}, status_code=400)
    found = page.xpath("//*[@id='" + anchor + "']")
    return JSONResponse({"sections": len(found)})


app = Starlette(routes=[Route("/section", section)])
