import secrets


def cookie(name, value):
    return f"{name}={value}; HttpOnly; Path=/; SameSite=Lax"


def application(environ, start_response):
    session = secrets.token_hex(16)
    headers = [("Content-Type", "text/plain"), ("Set-Cookie", cookie("session", session))]
    start_response("200 OK", headers)
    return [b"signed in\n"]
