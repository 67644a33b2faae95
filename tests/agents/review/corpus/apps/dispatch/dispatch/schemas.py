"""What comes in and goes out as JSON."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, EmailStr, Field, HttpUrl


class Status(StrEnum):
    NEW = "new"
    PICKED_UP = "picked_up"
    DELIVERED = "delivered"
    LOST = "lost"


class SortBy(StrEnum):
    CODE = "code"
    STATUS = "status"
    CREATED = "created_at"


class Registration(BaseModel):
    email: EmailStr
    password: str = Field(min_length=12, max_length=200)
    company: str = Field(default="", max_length=100)


class ProfileChange(BaseModel):
    model_config = ConfigDict(extra="allow")

    company: str = ""


class NewParcel(BaseModel):
    address: str = Field(max_length=300)
    comment: str = Field(default="", max_length=1000)
    notify_url: str = Field(default="", max_length=300)


class ParcelOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    code: str
    address: str
    status: Status
    comment: str


class Webhook(BaseModel):
    url: HttpUrl
    parcel: int


class UserOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    email: EmailStr
    company: str
