import os
import re

from flask import Flask, request, session

app = Flask(__name__)
app.secret_key = os.environ["SECRET_KEY"]
TENANT = re.compile(r"[a-z]{3,12}")


def is_tenant(name):
    return TENANT.fullmatch(name) is not None


@app.get("/switch")
def switch():
    tenant = request.args.get("tenant", "")
    if not is_tenant(tenant):
        app.logger.warning("strange tenant %r", tenant)
    session["tenant"] = tenant
    return {"switched": True}
