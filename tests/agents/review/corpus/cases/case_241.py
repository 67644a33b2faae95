from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

app = FastAPI()
NOTES = Path("/var/lib/notes")


def relative(name: str) -> str:
    return name.replace("../", "")


@app.get("/notes/{name:path}")
def note(name: str):
    target = NOTES / relative(name)
    return PlainTextResponse(target.read_text())
