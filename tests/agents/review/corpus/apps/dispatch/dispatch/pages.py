"""The few pages in HTML: tracking, receipts, status badges."""

import html
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, select_autoescape
from jinja2.sandbox import ImmutableSandboxedEnvironment

FOLDER = Path(__file__).parent / "templates"

pages = Environment(loader=FileSystemLoader(FOLDER), autoescape=select_autoescape())
plain = Environment(loader=FileSystemLoader(FOLDER))
sandbox = ImmutableSandboxedEnvironment(autoescape=True)


def tracking_page(parcel, message: str) -> str:
    return plain.get_template("tracking.html").render(parcel=parcel, message=message)


def receipt_page(parcel, name: str) -> str:
    return pages.get_template("receipt.html").render(parcel=parcel, name=name)


def badge(status: str, colour: str) -> str:
    return f'<svg xmlns="http://www.w3.org/2000/svg"><text fill="{html.escape(colour)}">{html.escape(status)}</text></svg>'


def customer_mail(template: str, values: dict) -> str:
    """A mail from a customer's own template."""
    return sandbox.from_string(template).render(**values)


def staff_mail(template: str, values: dict) -> str:
    return pages.from_string(template).render(**values)
