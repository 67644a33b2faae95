from fastapi import FastAPI
from fastapi.responses import HTMLResponse

app = FastAPI()
PAGE = "<html><head><title>{title}</title></head><body>{body}</body></html>"


@app.get("/wiki/{page}", response_class=HTMLResponse)
def wiki(page: str):
    body = "There is no article called " + page + " yet."
    return PAGE.format(title="Wiki", body=body)
