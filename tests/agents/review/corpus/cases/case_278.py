from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from passlib.hash import md5_crypt

app = FastAPI()
security = HTTPBasic()
users: dict[str, str] = {}


def hashed(password: str) -> str:
    return md5_crypt.hash(password)


@app.put("/password")
def change(new: str, credentials: HTTPBasicCredentials = Depends(security)):
    if credentials.username not in users:
        raise HTTPException(404)
    users[credentials.username] = hashed(new)
    return {"changed": True}
