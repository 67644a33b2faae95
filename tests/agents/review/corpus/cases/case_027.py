from fastapi import FastAPI

app = FastAPI()
PAGE = "<html><head><title>{title}</title></head><body>{body}</body></html>"


@app.get("/wiki/{page}")
def wiki(page: str):
    body = "There is no article called " + page + " yet."
    return {"page": PAGE.format(title="Wiki", body=body)}
