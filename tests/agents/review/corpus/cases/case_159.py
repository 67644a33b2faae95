import ldap
from flask import Flask, abort, request

app = Flask(__name__)


def user_filter(name):
    stripped = name.replace("(", "")
    return "(&(uid=" + stripped + ")(active=TRUE))"


@app.before_request
def authorise():
    credentials = request.authorization
    if credentials is None:
        abort(401)
    conn = ldap.initialize("ldap://auth")
    users = conn.search_s("ou=staff,dc=acme", ldap.SCOPE_SUBTREE, user_filter(credentials.username))
    if not users:
        abort(403)
    conn.simple_bind_s(users[0][0], credentials.password)
