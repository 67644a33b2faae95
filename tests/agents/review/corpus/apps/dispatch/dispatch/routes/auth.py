"""Registering, signing in, the own profile."""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from fastapi.security import OAuth2PasswordRequestForm
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from dispatch.database import User
from dispatch.schemas import ProfileChange, Registration, UserOut
from dispatch.security import CurrentUser, Db, hash_password, make_token, password_ok

router = APIRouter(prefix="/auth", tags=["auth"])


@router.post("/register", status_code=201)
async def register(body: Registration, db: Db) -> UserOut:
    user = User(email=body.email, password=hash_password(body.password), company=body.company)
    db.add(user)
    try:
        await db.commit()
    except IntegrityError:
        raise HTTPException(409, "there is an account already") from None
    return UserOut.model_validate(user)


@router.post("/token")
async def token(form: Annotated[OAuth2PasswordRequestForm, Depends()], db: Db, response: Response) -> dict[str, str]:
    user = await db.scalar(select(User).where(User.email == form.username))
    if user is None or not password_ok(user.password, form.password):
        raise HTTPException(401, "address or password is wrong")
    made = make_token(user)
    response.set_cookie("dispatch_token", made, max_age=28800)
    response.set_cookie("signed_in", "1", max_age=28800, secure=True, httponly=True, samesite="strict")
    return {"access_token": made, "token_type": "bearer"}


@router.get("/me")
async def me(user: CurrentUser) -> UserOut:
    return UserOut.model_validate(user)


@router.patch("/me")
async def change_me(body: ProfileChange, user: CurrentUser, db: Db) -> UserOut:
    for name, value in body.model_dump().items():
        setattr(user, name, value)
    await db.commit()
    return UserOut.model_validate(user)


@router.get("/leave")
async def leave(next: str = "/") -> RedirectResponse:
    response = RedirectResponse(next)
    response.delete_cookie("dispatch_token")
    return response


@router.get("/enter")
async def enter(request: Request, page: str = "parcels") -> RedirectResponse:
    if page not in ("parcels", "drivers", "me"):
        page = "parcels"
    return RedirectResponse(f"{request.scope.get('root_path', '')}/{page}")
