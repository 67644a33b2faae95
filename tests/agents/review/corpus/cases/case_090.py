from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


def interpret(command):
    match command.split(" ", 1):
        case ["sum", rest]:
            return sum(float(part) for part in rest.split())
        case ["expr", "pi"]:
            return eval("355 / 113")
        case _:
            return None


async def console(request):
    command = request.headers.get("x-command", "")
    return JSONResponse({"ok": interpret(command) is not None})


app = Starlette(routes=[Route("/console", console)])
