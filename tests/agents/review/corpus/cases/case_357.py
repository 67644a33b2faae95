from fastapi import FastAPI, Request
from lxml import etree

app = FastAPI()


class SamlReader:
    parser = etree.XMLParser(resolve_entities=True, no_network=False)

    def __init__(self, assertion: bytes):
        self.assertion = assertion

    def subject(self):
        tree = etree.fromstring(self.assertion, parser=self.parser)
        return tree.findtext("{*}Subject/{*}NameID")


@app.post("/saml/acs")
async def acs(request: Request):
    reader = SamlReader(await request.body())
    return {"subject": reader.subject()}
