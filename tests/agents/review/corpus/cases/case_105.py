from jinja2 import Environment
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

environment = Environment(trim_blocks=True, autoescape=True)
template = environment.from_string("<ul>{% for tag in tags %}<li>{{ tag }}</li>{% endfor %}</ul>")


async def tags(request):
    chosen = request.query_params.getlist("tag")
    return HTMLResponse(template.render(tags=chosen))


app = Starlette(routes=[Route("/tags", tags)])
