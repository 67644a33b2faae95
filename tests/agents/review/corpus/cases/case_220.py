import numpy as np
from fastapi import FastAPI

app = FastAPI()
keys: dict[str, str] = {}


def new_key() -> str:
    raw = np.random.bytes(24)
    return "ak_" + raw.hex()


@app.post("/clients/{name}/keys")
def create(name: str):
    key = new_key()
    keys[key] = name
    return {"key": key}
