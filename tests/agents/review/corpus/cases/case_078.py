from fastapi import FastAPI, Query
from fastapi.responses import RedirectResponse

app = FastAPI()
clicks = {}


@app.get("/click/{campaign}")
def click(campaign: str, to: str = Query()):
    clicks[campaign] = clicks.get(campaign, 0) + 1
    return RedirectResponse(to)
