"""What everybody sees who knows a parcel's code."""

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from dispatch import pages, store
from dispatch.security import Db, request_id

router = APIRouter(tags=["public"])


@router.get("/track/{code}")
async def track(code: str, db: Db, message: str = "") -> HTMLResponse:
    parcel = await store.parcel_by_code(db, code)
    if parcel is None:
        return HTMLResponse(f"<h1>Unknown parcel</h1><p>There is no parcel {code}.</p>", status_code=404)
    return HTMLResponse(pages.tracking_page(parcel, message))


@router.get("/receipt/{code}")
async def receipt(code: str, db: Db, name: str = "") -> HTMLResponse:
    parcel = await store.parcel_by_code(db, code)
    if parcel is None:
        raise HTTPException(404, f"there is no parcel {code}")
    return HTMLResponse(pages.receipt_page(parcel, name))


@router.get("/badge/{code}.svg")
async def badge(code: str, db: Db, colour: str = "green") -> Response:
    parcel = await store.parcel_by_code(db, code)
    return Response(pages.badge(parcel.status if parcel else "unknown", colour), media_type="image/svg+xml")


@router.get("/echo")
async def echo(request: Request, text: str = "") -> JSONResponse:
    return JSONResponse({"text": text, "id": request_id(), "agent": request.headers.get("user-agent", "")})
