from html import escape

from flask import Flask, request

app = Flask(__name__)
VOID = {"br", "img", "input", "hr"}


class Tag:
    """One element; children are elements or texts, and texts are escaped."""

    def __init__(self, name, /, *children, **attributes):
        self.name = name
        self.children = children
        self.attributes = attributes

    def opening(self):
        written = [f'{key}="{value}"' for key, value in sorted(self.attributes.items())]
        return "<" + " ".join([self.name, *written]) + ">"

    def __str__(self):
        if self.name in VOID:
            return self.opening()
        inner = "".join(str(child) if isinstance(child, Tag) else escape(child) for child in self.children)
        return f"{self.opening()}{inner}</{self.name}>"


def search_form(text):
    return Tag("form", Tag("input", name="q", value=text), Tag("button", "Search"), method="get")


@app.get("/find")
def find():
    text = request.args.get("q", "")
    page = Tag("body", Tag("h1", "Find"), search_form(text), Tag("p", "You looked for ", text))
    return "<!doctype html>" + str(page)
