import csv
import io
import json
import zlib

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

ENTRIES: dict[str, bytes] = {}
VALUE_BYTES_MAX = 1_000_000


class Codec:
    marks = {b"j": "json", b"c": "csv"}

    def decode(self, packed: bytes) -> object:
        kind = self.marks.get(packed[:1], "json")
        body = zlib.decompressobj().decompress(packed[1:], VALUE_BYTES_MAX)
        if kind == "json":
            return json.loads(body)
        return list(csv.reader(io.StringIO(body.decode())))


async def put(request: Request) -> Response:
    packed = await request.body()
    if len(packed) > VALUE_BYTES_MAX:
        return Response(status_code=413)
    ENTRIES[request.path_params["key"]] = packed
    return Response(status_code=204)


async def size(request: Request) -> Response:
    packed = ENTRIES.get(request.path_params["key"])
    if packed is None:
        return Response(status_code=404)
    value = Codec().decode(packed)
    return JSONResponse({"size": len(value) if isinstance(value, (list, dict, str)) else 1})


routes = [Route("/{key}", put, methods=["PUT"]), Route("/{key}/size", size)]
app = Starlette(routes=routes)
