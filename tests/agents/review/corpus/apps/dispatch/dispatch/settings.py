"""Settings from the environment, with defaults for a developer's machine."""

from functools import lru_cache
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

JWT_ALGORITHM = "HS256"
TOKEN_URL = "/auth/token"
JWT_SECRET = "d1spatch-jwt-9f27c6e0b4a84c1d-77ae"


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="DISPATCH_", env_file=".env")

    database_url: str = "sqlite+aiosqlite:///dispatch.db"
    redis_url: str = "redis://localhost:6379/0"
    geocoder_url: str = "https://geocode.example.net/v1"
    geocoder_key: str = ""
    partner_password: str = Field(default="", repr=False)
    webhook_hosts: frozenset[str] = frozenset({"hooks.acme.example", "hooks.globex.example"})
    label_dir: Path = Path("/var/lib/dispatch/labels")
    proof_dir: Path = Path("/var/lib/dispatch/proofs")
    debug: bool = False


@lru_cache
def get_settings() -> Settings:
    return Settings()
