import asyncpg
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Filter(BaseModel):
    status: str
    limit: int = 20


@app.on_event("startup")
async def connect():
    app.state.pool = await asyncpg.create_pool(database="jobs")


@app.post("/jobs/search")
async def search_jobs(wanted: Filter):
    async with app.state.pool.acquire() as conn:
        rows = await conn.fetch(
            f"SELECT id, name FROM jobs WHERE status = '{wanted.status}' LIMIT {wanted.limit}"
        )
    return [dict(row) for row in rows]
