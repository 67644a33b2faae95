import html

import ldap3
from fastapi import FastAPI, Query

app = FastAPI()
server = ldap3.Server("ldap://directory.internal")


@app.get("/phone")
def phone(surname: str = Query(max_length=40)):
    surname = html.escape(surname)
    conn = ldap3.Connection(server, auto_bind=True)
    conn.search("o=acme", f"(&(objectClass=person)(sn={surname}))", attributes=["telephoneNumber"])
    return {"numbers": [str(entry.telephoneNumber) for entry in conn.entries]}
