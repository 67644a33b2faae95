import hashlib
import hmac
import os
import pickle

from fastapi import FastAPI, Header, HTTPException, Request

app = FastAPI()
KEY = os.environ["QUEUE_KEY"].encode()


def signature(body: bytes) -> str:
    return hmac.new(KEY, body, hashlib.sha256).hexdigest()


@app.post("/tasks")
async def tasks(request: Request, x_signature: str = Header()):
    body = await request.body()
    expected = signature(body)
    if not hmac.compare_digest(expected, x_signature):
        raise HTTPException(403)
    task = pickle.loads(body)
    return {"accepted": str(task), "verified": True}
