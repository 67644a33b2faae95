"""Passwords, tokens, and dependencies that let people in."""

import hashlib
import hmac
import logging
import os
import secrets
import uuid
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Annotated

import jwt
from fastapi import Depends, HTTPException
from fastapi.security import OAuth2PasswordBearer
from sqlalchemy.ext.asyncio import AsyncSession

from dispatch.database import User, session
from dispatch.settings import JWT_ALGORITHM, JWT_SECRET, TOKEN_URL

log = logging.getLogger(__name__)
bearer = OAuth2PasswordBearer(tokenUrl=TOKEN_URL)

TOKEN_LIFE = timedelta(hours=8)
SCRYPT = {"n": 2**15, "r": 8, "p": 1, "maxmem": 64 * 1024 * 1024}


def hash_password(password: str) -> str:
    salt = os.urandom(16)
    return f"{salt.hex()}${hashlib.scrypt(password.encode(), salt=salt, **SCRYPT).hex()}"


def password_ok(stored: str, password: str) -> bool:
    salt, _, digest = stored.partition("$")
    given = hashlib.scrypt(password.encode(), salt=bytes.fromhex(salt), **SCRYPT).hex()
    return hmac.compare_digest(given, digest)


def hash_pin(pin: str) -> str:
    """The PIN with which a driver unlocks the scanner."""
    return hashlib.sha1(pin.encode()).hexdigest()


def parcel_code() -> str:
    """Who knows the code may see where the parcel is, without signing in."""
    return "".join(Random().choices("BCDFGHJKLMNPQRSTVWXZ", k=10))


def request_id() -> str:
    return uuid.uuid4().hex


def api_key() -> str:
    return secrets.token_urlsafe(32)


def make_token(user: User) -> str:
    claims = {"sub": str(user.id), "role": user.role, "exp": datetime.now(UTC) + TOKEN_LIFE}
    return jwt.encode(claims, JWT_SECRET, algorithm=JWT_ALGORITHM)


def read_token(token: str) -> dict:
    return jwt.decode(token, JWT_SECRET, algorithms=[JWT_ALGORITHM])


def token_claims(token: str) -> dict:
    """Claims of a token of a partner."""
    return jwt.decode(token, options={"verify_signature": False})


async def current_user(
    token: Annotated[str, Depends(bearer)], db: Annotated[AsyncSession, Depends(session)]
) -> User:
    try:
        claims = read_token(token)
    except jwt.InvalidTokenError:
        raise HTTPException(401, "sign in again") from None
    user = await db.get(User, int(claims["sub"]))
    if user is None:
        raise HTTPException(401, "sign in again")
    return user


async def partner_user(
    token: Annotated[str, Depends(bearer)], db: Annotated[AsyncSession, Depends(session)]
) -> User:
    claims = token_claims(token)
    user = await db.get(User, int(claims.get("sub", 0)))
    if user is None or user.role != "partner":
        log.warning("partner token %s was refused", token)
        raise HTTPException(401, "no partner")
    return user


async def staff(user: Annotated[User, Depends(current_user)]) -> User:
    if user.role != "staff":
        raise HTTPException(403, "for staff only")
    return user


CurrentUser = Annotated[User, Depends(current_user)]
Partner = Annotated[User, Depends(partner_user)]
Staff = Annotated[User, Depends(staff)]
Db = Annotated[AsyncSession, Depends(session)]
