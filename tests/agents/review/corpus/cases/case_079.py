from flask import Flask
from ldap3 import MODIFY_REPLACE, Connection, Server

app = Flask(__name__)


def connect():
    return Connection(Server("ldap://dir"), "cn=admin,dc=acme", app.config["DIR_PASSWORD"], auto_bind=True)


@app.route("/printers/<path:name>/enable", methods=["POST"])
def enable(name):
    dn = "cn=" + name + ",ou=printers,dc=acme"
    with connect() as conn:
        conn.modify(dn, {"printerState": [(MODIFY_REPLACE, ["on"])]})
    return {"state": "on"}
