"""Drivers and their routes."""

import re
from pathlib import Path

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel

from dispatch import cache, outside, store
from dispatch.database import Driver
from dispatch.security import Db, Staff, hash_pin
from dispatch.settings import get_settings

router = APIRouter(prefix="/drivers", tags=["drivers"])

ZONE = re.compile(r"[a-z]{2,12}(-[0-9]{1,3})?")


class NewDriver(BaseModel):
    name: str
    zone: str
    phone: str
    pin: str


@router.get("/")
async def listing(staff: Staff, db: Db, order: str = "name") -> list[dict]:
    return [{"id": driver.id, "name": driver.name} for driver in await store.drivers_sorted(db, order)]


@router.post("/", status_code=201)
async def create(body: NewDriver, staff: Staff, db: Db) -> dict[str, str]:
    db.add(Driver(name=body.name, zone=body.zone, phone=body.phone))
    await db.commit()
    return {"name": body.name, "pin": hash_pin(body.pin)}


@router.get("/{driver_id}")
async def show(driver_id: int, db: Db) -> dict:
    driver = await db.get(Driver, driver_id)
    if driver is None:
        raise HTTPException(404, "there is no such driver")
    zone = driver.zone
    return {"name": driver.name, "zone": zone, "phone": driver.phone}


@router.get("/zones/{zone}/route")
async def route(zone: str, staff: Staff) -> list[dict]:
    if not ZONE.fullmatch(zone):
        raise HTTPException(404, "there is no such zone")
    known = await cache.known_route(zone)
    if known is not None:
        return known
    text = await outside.optimise(Path(get_settings().label_dir, "zones", f"{zone}.yaml"))
    found = [{"stop": line} for line in text.splitlines()]
    await cache.remember_route(zone, found)
    return found


@router.get("/zones/{zone:path}/rules")
async def rules(zone: str, staff: Staff) -> dict:
    path = Path(get_settings().label_dir) / "zones" / f"{zone}.yaml"
    try:
        return {"text": path.read_text()}
    except OSError as error:
        raise HTTPException(404, f"can't read the rules: {error}") from None


@router.put("/{driver_id}/parcels/{parcel_id}")
async def assign(driver_id: int, parcel_id: int, staff: Staff, db: Db) -> dict[str, bool]:
    return {"assigned": await store.assign(db, parcel_id, driver_id)}
