import secrets

from fastapi import FastAPI, Response

app = FastAPI()
sessions: dict[str, dict] = {}


@app.post("/session")
def session(response: Response):
    identifier = secrets.token_urlsafe(32)
    sessions[identifier] = {}
    response.set_cookie(key="sid", value=identifier, httponly=True, max_age=3600, samesite="strict")
    return {"open": True}
