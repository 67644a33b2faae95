import ldap
from flask import Flask, request
from ldap.filter import escape_filter_chars

app = Flask(__name__)


@app.route("/exists/<path:mail>")
def exists(mail):
    escaped = escape_filter_chars(mail)
    app.logger.info("looking up %r from %s", mail, request.remote_addr)
    conn = ldap.initialize("ldap://mailhub")
    entries = conn.search_st("ou=mail,o=acme", ldap.SCOPE_ONELEVEL, "(mail=%s)" % escaped, timeout=5)
    return {"exists": bool(entries)}
