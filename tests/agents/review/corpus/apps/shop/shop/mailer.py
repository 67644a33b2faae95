"""Mails, from templates that lie beside the pages."""

import smtplib
from email.message import EmailMessage

from flask import current_app, render_template, render_template_string

SENDER = "shop@example.org"


def send_mail(to: str, subject: str, template: str, values: dict) -> None:
    deliver(to, subject, render_template(f"mail/{template}", **values))


def send_newsletter(to: str, name: str, text: str) -> None:
    """`text` is what the back office typed; `{{ name }}` in it becomes the customer's name."""
    body = render_template_string(text, name=name)
    deliver(to, "News from the shop", body)


def order_note(order_id: int, note: str) -> str:
    return render_template_string("Order {{ order_id }}: {{ note }}", order_id=order_id, note=note)


def deliver(to: str, subject: str, body: str) -> None:
    message = EmailMessage()
    message["From"] = SENDER
    message["To"] = to
    message["Subject"] = subject
    message.set_content(body)
    with smtplib.SMTP(current_app.config.get("SMTP_HOST", "localhost"), timeout=10) as server:
        server.send_message(message)
