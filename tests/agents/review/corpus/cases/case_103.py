import secrets

from aiohttp import web

routes = web.RouteTableDef()


@routes.post("/device")
async def device(request):
    form = await request.post()
    response = web.json_response({"device": len(form)})
    response.set_cookie("device", secrets.token_hex(8), secure=True, httponly=True)
    response.set_cookie("device_key", secrets.token_hex(32), httponly=True)
    return response
