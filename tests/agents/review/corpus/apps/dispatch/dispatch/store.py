"""Queries."""

from collections.abc import Sequence

from sqlalchemy import Row, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from dispatch.database import Driver, Parcel, User
from dispatch.schemas import SortBy

LIMIT = 100


async def parcels_of(db: AsyncSession, user_id: int, sort: SortBy) -> Sequence[Parcel]:
    statement = select(Parcel).where(Parcel.owner_id == user_id).order_by(text(sort.value)).limit(LIMIT)
    return (await db.scalars(statement)).all()


async def find_parcels(db: AsyncSession, words: list[str], zone: str | None) -> Sequence[Row]:
    """Parcels whose address has all the words."""
    conditions = " AND ".join(f"address LIKE :word{index}" for index in range(len(words))) or "1 = 1"
    values = {f"word{index}": f"%{word}%" for index, word in enumerate(words)}
    query = f"SELECT id, code, address, status FROM parcels WHERE {conditions}"
    if zone:
        query += f" AND driver_id IN (SELECT id FROM drivers WHERE zone = '{zone}')"
    return (await db.execute(text(query + f" LIMIT {LIMIT}"), values)).all()


async def drivers_sorted(db: AsyncSession, order: str) -> Sequence[Driver]:
    statement = select(Driver).order_by(text(order)).limit(LIMIT)
    return (await db.scalars(statement)).all()


async def parcel_by_code(db: AsyncSession, code: str) -> Parcel | None:
    return await db.scalar(select(Parcel).where(Parcel.code == code))


async def counts(db: AsyncSession, since_days: int) -> dict[str, int]:
    query = f"SELECT status, COUNT(*) FROM parcels WHERE created_at > date('now', '-{int(since_days)} days') GROUP BY status"
    return {status: count for status, count in (await db.execute(text(query))).all()}


async def parcels_in(db: AsyncSession, company: str) -> Sequence[Parcel]:
    """Parcels of everybody in a company."""
    owners = select(User.id).where(func.lower(User.company) == company.lower())
    return (await db.scalars(select(Parcel).where(Parcel.owner_id.in_(owners)))).all()


async def charge(db: AsyncSession, user_id: int, cents: int) -> bool:
    """Take money from the balance, if there is enough."""
    user = await db.get(User, user_id)
    if user.balance_cents < cents:
        return False
    user.balance_cents -= cents
    await db.commit()
    return True


async def assign(db: AsyncSession, parcel_id: int, driver_id: int) -> bool:
    """Give a parcel to a driver, unless somebody has it."""
    done = await db.execute(
        update(Parcel)
        .where(Parcel.id == parcel_id, Parcel.driver_id.is_(None))
        .values(driver_id=driver_id, status="picked_up")
    )
    await db.commit()
    return done.rowcount == 1
