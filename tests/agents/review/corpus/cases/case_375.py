import hashlib

from fastapi import FastAPI, Request

app = FastAPI()
ALGORITHM = "sha512"


class Ledger:
    def __init__(self):
        self.head = b""

    def append(self, entry: bytes) -> str:
        digest = hashlib.new(ALGORITHM)
        digest.update(self.head + entry)
        self.head = digest.digest()
        return digest.hexdigest()


ledger = Ledger()


@app.post("/audit")
async def audit(request: Request):
    return {"seal": ledger.append(await request.body())}
