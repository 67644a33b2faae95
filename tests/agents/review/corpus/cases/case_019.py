import hashlib
import os
from dataclasses import dataclass


@dataclass
class Credential:
    salt: bytes
    digest: bytes

    @classmethod
    def of(cls, password: str) -> "Credential":
        salt = os.urandom(16)
        digest = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 600_000)
        return cls(salt, digest)
