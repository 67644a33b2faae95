"""Parcels of customers."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, File, HTTPException, Query, UploadFile
from fastapi.responses import FileResponse

from dispatch import cache, outside, store
from dispatch.database import Parcel
from dispatch.schemas import NewParcel, ParcelOut, SortBy, Status, Webhook
from dispatch.security import CurrentUser, Db, Partner, parcel_code
from dispatch.settings import get_settings

router = APIRouter(prefix="/parcels", tags=["parcels"])

PRICE_CENTS = 590
PROOF_TYPES = {"image/png": ".png", "image/jpeg": ".jpg"}
PROOF_BYTES_MAX = 4_000_000


async def own_parcel(parcel_id: int, user, db) -> Parcel:
    parcel = await db.get(Parcel, parcel_id)
    if parcel is None or parcel.owner_id != user.id:
        raise HTTPException(404, "there is no such parcel")
    return parcel


@router.get("/")
async def listing(user: CurrentUser, db: Db, sort: SortBy = SortBy.CREATED) -> list[ParcelOut]:
    return [ParcelOut.model_validate(parcel) for parcel in await store.parcels_of(db, user.id, sort)]


@router.get("/page")
async def page(user: CurrentUser, db: Db, cursor: str = "") -> dict:
    position = cache.unpack_cursor(cursor) if cursor else {"start": 0}
    found = await store.parcels_of(db, user.id, SortBy.CREATED)
    start = int(position["start"])
    return {
        "parcels": [ParcelOut.model_validate(parcel) for parcel in found[start : start + 20]],
        "cursor": cache.pack_cursor({"start": start + 20}),
    }


@router.post("/", status_code=201)
async def create(body: NewParcel, user: CurrentUser, db: Db, tasks: BackgroundTasks) -> ParcelOut:
    if not await store.charge(db, user.id, PRICE_CENTS):
        raise HTTPException(402, "the balance is too low")
    parcel = Parcel(code=parcel_code(), owner_id=user.id, **body.model_dump())
    db.add(parcel)
    await db.commit()
    if parcel.notify_url:
        tasks.add_task(outside.notify, parcel.notify_url, {"code": parcel.code, "status": parcel.status})
    return ParcelOut.model_validate(parcel)


@router.get("/{parcel_id}")
async def show(parcel_id: int, user: CurrentUser, db: Db) -> ParcelOut:
    return ParcelOut.model_validate(await own_parcel(parcel_id, user, db))


@router.delete("/{parcel_id}", status_code=204)
async def remove(parcel_id: int, user: CurrentUser, db: Db) -> None:
    parcel = await db.get(Parcel, parcel_id)
    if parcel is None:
        raise HTTPException(404, "there is no such parcel")
    await db.delete(parcel)
    await db.commit()


@router.post("/{parcel_id}/label")
async def label(parcel_id: int, user: CurrentUser, db: Db, printer: str = "lp-office") -> dict[str, int]:
    parcel = await own_parcel(parcel_id, user, db)
    return {"exit": await outside.print_label(parcel.code, printer)}


@router.post("/labels")
async def labels(user: CurrentUser, codes: Annotated[list[str], Query()], place: str = "office") -> dict[str, int]:
    return {"exit": await outside.print_list(codes, place)}


@router.get("/{parcel_id}/label.pdf")
async def label_file(parcel_id: int, user: CurrentUser, db: Db) -> FileResponse:
    parcel = await own_parcel(parcel_id, user, db)
    return FileResponse(get_settings().label_dir / f"{parcel.code}.pdf")


@router.post("/{parcel_id}/proof")
async def proof(parcel_id: int, user: CurrentUser, db: Db, file: Annotated[UploadFile, File()]) -> dict[str, str]:
    parcel = await own_parcel(parcel_id, user, db)
    suffix = PROOF_TYPES.get(file.content_type or "")
    if suffix is None:
        raise HTTPException(415, "a picture, please")
    target = get_settings().proof_dir / f"{parcel.id}{suffix}"
    target.write_bytes(await file.read(PROOF_BYTES_MAX))
    return {"name": target.name}


@router.post("/{parcel_id}/attachment")
async def attachment(parcel_id: int, user: CurrentUser, db: Db, file: Annotated[UploadFile, File()]) -> dict[str, str]:
    parcel = await own_parcel(parcel_id, user, db)
    folder = get_settings().proof_dir / str(parcel.id)
    folder.mkdir(exist_ok=True)
    with open(f"{folder}/{file.filename}", "wb") as out:
        out.write(await file.read())
    return {"name": file.filename or ""}


@router.get("/{parcel_id}/attachments/{name}")
async def read_attachment(parcel_id: int, name: str, user: CurrentUser, db: Db) -> FileResponse:
    parcel = await own_parcel(parcel_id, user, db)
    folder = (get_settings().proof_dir / str(parcel.id)).resolve()
    target = (folder / name).resolve()
    if not target.is_relative_to(folder):
        raise HTTPException(404, "there is no such attachment")
    return FileResponse(target)


@router.put("/{parcel_id}/status")
async def set_status(parcel_id: int, status: Status, partner: Partner, db: Db) -> dict[str, str]:
    parcel = await db.get(Parcel, parcel_id)
    if parcel is None:
        raise HTTPException(404, "there is no such parcel")
    parcel.status = status
    await db.commit()
    await cache.note_move(parcel.id, status)
    return {"status": status}


@router.post("/hooks")
async def hook(body: Webhook, user: CurrentUser, db: Db) -> dict[str, str]:
    parcel = await own_parcel(body.parcel, user, db)
    try:
        await outside.call_hook(str(body.url), {"code": parcel.code})
    except ValueError as error:
        raise HTTPException(400, str(error)) from None
    return {"status": "sent"}
