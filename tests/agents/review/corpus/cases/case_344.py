import string

from fastapi import FastAPI, Form
from fastapi.responses import PlainTextResponse

app = FastAPI()


@app.post("/preview", response_class=PlainTextResponse)
def preview(body: str = Form(), customer: str = Form()):
    template = string.Template(body)
    return template.safe_substitute(customer=customer)
