import os

from flask import Flask, request, session

app = Flask(__name__)
app.secret_key = os.environ["SECRET_KEY"]
MEMBERS = {"ada": {"acme", "globex"}, "linus": {"initech"}}


def is_tenant(name):
    return name in MEMBERS.get(session.get("user"), set())


@app.get("/switch")
def switch():
    tenant = request.args.get("tenant", "")
    if not is_tenant(tenant):
        app.logger.warning("strange tenant %r", tenant)
        return {"switched": False}, 403
    session["tenant"] = tenant
    return {"switched": True}
