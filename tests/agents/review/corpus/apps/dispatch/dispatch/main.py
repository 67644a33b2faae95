"""The application: `uvicorn dispatch.main:app`."""

import logging
import traceback
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse
from starlette.middleware.sessions import SessionMiddleware

from dispatch.cache import close_cache
from dispatch.database import create_tables, engine
from dispatch.routes import admin, auth, drivers, parcels, public
from dispatch.settings import JWT_SECRET, get_settings

log = logging.getLogger(__name__)


@asynccontextmanager
async def lifespan(app: FastAPI):
    await create_tables()
    yield
    await close_cache()
    await engine.dispose()


app = FastAPI(title="Dispatch", lifespan=lifespan, debug=get_settings().debug)
app.add_middleware(
    CORSMiddleware,
    allow_origins=["*"],
    allow_credentials=True,
    allow_methods=["*"],
    allow_headers=["Authorization", "Content-Type"],
)
app.add_middleware(SessionMiddleware, secret_key=JWT_SECRET, same_site="strict", https_only=True)

for module in (auth, parcels, drivers, public, admin):
    app.include_router(module.router)


@app.exception_handler(Exception)
async def failed(request: Request, error: Exception) -> JSONResponse:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return JSONResponse({"error": str(error), "trace": traceback.format_exc()}, status_code=500)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
