import hmac

from flask import Flask, abort, request, session
from lxml import etree

app = Flask(__name__)
app.secret_key = open("/etc/portal/key").read()


def find_user(name, pin):
    users = etree.parse("/srv/portal/users.xml")
    for user in users.xpath("//user"):
        if user.findtext("name") == name and hmac.compare_digest(user.findtext("pin", ""), pin):
            return user
    return None


@app.post("/login")
def login():
    matching = find_user(request.form["name"], request.form["pin"].encode("ascii", "ignore").decode())
    if matching is None:
        abort(401)
    session["user_id"] = matching.get("id")
    return {"welcome": True}
