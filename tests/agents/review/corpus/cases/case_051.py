import bonsai
from bonsai import escape_filter_exp
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

client = bonsai.LDAPClient("ldaps://directory.example.net")


async def resolve(request):
    members = (await request.json())["members"]
    clauses = ["(cn=%s)" % escape_filter_exp(str(member)) for member in members]
    async with client.connect(is_async=True) as conn:
        found = await conn.search("dc=example,dc=net", bonsai.LDAPSearchScope.SUB, "(|%s)" % "".join(clauses))
    return JSONResponse([str(entry.dn) for entry in found])


app = Starlette(routes=[Route("/resolve", resolve, methods=["POST"])])
