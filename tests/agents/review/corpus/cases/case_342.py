from flask import Flask, abort, request, session
from lxml import etree

app = Flask(__name__)
app.secret_key = open("/etc/portal/key").read()


def find_user(name, pin):
    users = etree.parse("/srv/portal/users.xml")
    query = "//user[name='%s' and pin='%s']" % (name, pin)
    return users.xpath(query)


@app.post("/login")
def login():
    matching = find_user(request.form["name"], request.form["pin"])
    if not matching:
        abort(401)
    session["user_id"] = matching[0].get("id")
    return {"welcome": True}
