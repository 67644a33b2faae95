import ldap3
from flask import Flask, request
from ldap3.utils.conv import escape_filter_chars

app = Flask(__name__)


def lookup(conn, name, department):
    conn.search(
        search_base="dc=corp,dc=local",
        search_filter="(&(sAMAccountName={})(department={}))".format(
            escape_filter_chars(name), escape_filter_chars(department)
        ),
        attributes=["mail"],
    )
    return conn.entries


@app.route("/mail", methods=["POST"])
def mail():
    server = ldap3.Server("ldaps://dc1.corp.local")
    with ldap3.Connection(server, auto_bind=True) as conn:
        entries = lookup(conn, request.form["name"], request.form["department"])
    return {"count": len(entries)}
