from fastapi import FastAPI, Request

app = FastAPI()
registry = {}


@app.put("/hooks/{name}")
async def define(name: str, request: Request):
    spec = await request.json()
    lines = ["def hook(event):"]
    for statement in spec["statements"]:
        lines.append("    " + statement)
    lines.append("    return event")
    scope = {}
    exec("\n".join(lines), scope)
    registry[name] = scope["hook"]
    return {"defined": name}
