import secrets

from aiohttp import web

routes = web.RouteTableDef()


@routes.post("/device")
async def device(request):
    form = await request.post()
    response = web.json_response({"device": len(form)})
    response.del_cookie("device")
    response.set_cookie("device_key", secrets.token_hex(32), secure=True, httponly=True)
    return response
