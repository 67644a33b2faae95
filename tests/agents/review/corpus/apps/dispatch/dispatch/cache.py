"""What is kept in Redis: routes that were computed, and how parcels move."""

import base64
import json
import pickle

from redis import asyncio as redis

from dispatch.settings import get_settings

ROUTE_LIFE_S = 3600

client = redis.from_url(get_settings().redis_url)


async def remember_route(zone: str, route: list[dict]) -> None:
    await client.set(f"route:{zone}", json.dumps(route), ex=ROUTE_LIFE_S)


async def known_route(zone: str) -> list[dict] | None:
    data = await client.get(f"route:{zone}")
    return json.loads(data) if data else None


def pack_cursor(position: dict) -> str:
    return base64.urlsafe_b64encode(pickle.dumps(position)).decode()


def unpack_cursor(cursor: str) -> dict:
    """Where a listing goes on, as the client got it from us."""
    return pickle.loads(base64.urlsafe_b64decode(cursor))


async def note_move(parcel_id: int, status: str) -> None:
    await client.publish("moves", json.dumps({"parcel": parcel_id, "status": status}))


async def close_cache() -> None:
    await client.aclose()
