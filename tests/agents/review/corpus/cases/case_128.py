from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from passlib.hash import argon2

app = FastAPI()
security = HTTPBasic()
users: dict[str, str] = {}


def hashed(password: str) -> str:
    return argon2.hash(password)


@app.put("/password")
def change(new: str, credentials: HTTPBasicCredentials = Depends(security)):
    if credentials.username not in users:
        raise HTTPException(404)
    users[credentials.username] = hashed(new)
    return {"changed": True}
