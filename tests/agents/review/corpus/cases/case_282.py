from fastapi import FastAPI, HTTPException, Query
from fastapi.responses import RedirectResponse

app = FastAPI()
clicks = {}
landing = {"spring": "https://shop.example.com/spring", "autumn": "https://shop.example.com/autumn"}


@app.get("/click/{campaign}")
def click(campaign: str, to: str = Query("")):
    if campaign not in landing:
        raise HTTPException(404)
    clicks[campaign, to] = clicks.get((campaign, to), 0) + 1
    return RedirectResponse(landing[campaign])
