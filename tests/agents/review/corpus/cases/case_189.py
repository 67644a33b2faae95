from urllib.parse import urljoin

from starlette.applications import Starlette
from starlette.responses import RedirectResponse
from starlette.routing import Route


async def docs(request):
    page = request.query_params.get("page", "index.html")
    return RedirectResponse(urljoin("https://docs.example.org/current/", page))


app = Starlette(routes=[Route("/docs", docs)])
