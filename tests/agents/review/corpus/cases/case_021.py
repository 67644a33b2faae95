from pathlib import Path

from fastapi import FastAPI, HTTPException
from fastapi.responses import PlainTextResponse

app = FastAPI()
NOTES = Path("/var/lib/notes")


def relative(name: str) -> Path:
    target = (NOTES / name).resolve()
    if not target.is_relative_to(NOTES):
        raise HTTPException(404)
    return target


@app.get("/notes/{name:path}")
def note(name: str):
    target = relative(name)
    return PlainTextResponse(target.read_text())
