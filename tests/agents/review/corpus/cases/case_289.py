import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel, HttpUrl

app = FastAPI()


class Source(BaseModel):
    url: HttpUrl
    sheet: str = "main"


@app.post("/frames")
def frames(source: Source):
    frame = pd.read_pickle(str(source.url))
    return {"rows": len(frame), "sheet": source.sheet}
