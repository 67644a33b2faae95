import ldap
from fastapi import Depends, FastAPI, Header

app = FastAPI()


def directory():
    connection = ldap.initialize("ldaps://ldap.example.org")
    try:
        yield connection
    finally:
        connection.unbind_s()


def group(x_forwarded_groups: str = Header("users")) -> str:
    first, *_ = x_forwarded_groups.split(",")
    return first.strip()


@app.get("/members")
def members(name: str = Depends(group), connection=Depends(directory)):
    wanted = "".join(["(&(objectClass=groupOfNames)(cn=", name, "))"])
    entries = connection.search_s("ou=groups,dc=example,dc=org", ldap.SCOPE_ONELEVEL, wanted, ["member"])
    return {"members": sum(len(values.get("member", [])) for _, values in entries)}
