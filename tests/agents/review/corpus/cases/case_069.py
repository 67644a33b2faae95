import jinja2
from fastapi import FastAPI, Form
from fastapi.responses import PlainTextResponse

app = FastAPI()


@app.post("/preview", response_class=PlainTextResponse)
def preview(body: str = Form(), customer: str = Form()):
    template = jinja2.Template(body)
    return template.render(customer=customer)
