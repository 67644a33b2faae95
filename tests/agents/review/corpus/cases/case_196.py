import hashlib
from dataclasses import dataclass

from django.conf import settings


@dataclass(frozen=True)
class ResetLink:
    email: str
    issued_s: int

    def token(self) -> str:
        text = ":".join([self.email, str(self.issued_s), settings.SECRET_KEY])
        return hashlib.sha1(text.encode("utf-8")).hexdigest()

    def url(self) -> str:
        return f"https://app.example.com/reset/{self.email}/{self.issued_s}/{self.token()}"
