import hashlib
import random
from dataclasses import dataclass


@dataclass
class Credential:
    salt: bytes
    digest: bytes

    @classmethod
    def of(cls, password: str) -> "Credential":
        salt = random.randbytes(16)
        digest = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 600_000)
        return cls(salt, digest)
