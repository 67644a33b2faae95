from fastapi import FastAPI, Request

app = FastAPI()
registry = {}
STATEMENTS = ["event['seen'] = True", "event['count'] = event.get('count', 0) + 1"]


@app.put("/hooks/{name}")
async def define(name: str, request: Request):
    spec = await request.json()
    lines = ["def hook(event):"]
    for statement in STATEMENTS:
        lines.append("    " + statement)
    lines.append("    return event")
    scope = {}
    exec("\n".join(lines), scope)
    registry[name] = (scope["hook"], spec.get("description"))
    return {"defined": True}
