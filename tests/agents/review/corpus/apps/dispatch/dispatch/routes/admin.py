"""For the staff of the courier service."""

import ast
import logging
import operator
import secrets

from fastapi import APIRouter, HTTPException, Request, UploadFile
from pydantic import BaseModel, Field

from dispatch import outside, pages, store
from dispatch.security import Db, Staff, api_key
from dispatch.settings import get_settings

router = APIRouter(prefix="/admin", tags=["admin"])
log = logging.getLogger(__name__)

FORMULA_CHARS_MAX = 200
OPERATIONS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}


class Mail(BaseModel):
    template: str = Field(max_length=5000)
    values: dict[str, str] = {}


class Formula(BaseModel):
    text: str = Field(max_length=FORMULA_CHARS_MAX)
    weight: float = 1.0


@router.get("/search")
async def search(staff: Staff, db: Db, q: str = "", zone: str | None = None) -> list[dict]:
    rows = await store.find_parcels(db, q.split()[:10], zone)
    return [dict(row._mapping) for row in rows]


@router.get("/counts")
async def counts(staff: Staff, db: Db, days: int = 7) -> dict[str, int]:
    return await store.counts(db, days)


@router.get("/companies/{name}")
async def company(name: str, staff: Staff, db: Db) -> list[str]:
    log.info("%r was looked up by %d", name, staff.id)
    return [parcel.code for parcel in await store.parcels_in(db, name)]


@router.post("/mail")
async def mail(body: Mail, staff: Staff) -> dict[str, str]:
    return {"text": pages.staff_mail(body.template, body.values)}


@router.post("/mail/preview")
async def preview(body: Mail, staff: Staff) -> dict[str, str]:
    return {"text": pages.customer_mail(body.template, body.values)}


@router.get("/feed")
async def feed(staff: Staff, host: str) -> list[str]:
    return outside.read_feed(await outside.partner_feed(host))


@router.get("/feed/public")
async def public_feed(staff: Staff, host: str) -> dict[str, bool]:
    return {"public": outside.is_public(host)}


@router.post("/rules")
async def rules(staff: Staff, file: UploadFile) -> dict:
    return outside.read_rules((await file.read()).decode())


@router.post("/tariff")
async def tariff(body: Formula, staff: Staff) -> dict[str, float]:
    """What a parcel would cost by a formula of weight `w`."""
    return {"price": float(eval(body.text, {"__builtins__": {}}, {"w": body.weight}))}


@router.post("/surcharge")
async def surcharge(body: Formula, staff: Staff) -> dict[str, float]:
    try:
        return {"price": evaluate(ast.parse(body.text, mode="eval").body)}
    except (KeyError, SyntaxError, ValueError):
        raise HTTPException(400, "only numbers, + - and *") from None


def evaluate(node: ast.AST) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    if isinstance(node, ast.BinOp):
        return OPERATIONS[type(node.op)](evaluate(node.left), evaluate(node.right))
    raise ValueError("not a formula")


@router.get("/settings")
async def settings(request: Request) -> dict:
    if request.headers.get("X-Internal") != "1":
        raise HTTPException(404)
    return get_settings().model_dump(mode="json")


@router.post("/keys")
async def new_key(staff: Staff) -> dict[str, str]:
    made = api_key()
    log.info("a key of %d characters was made by %d", len(made), staff.id)
    return {"key": made, "id": secrets.token_hex(4)}
