import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Blob:
    path: str
    content: bytes

    def object_id(self) -> str:
        header = b"blob %d\0" % len(self.content)
        return hashlib.sha1(header + self.content, usedforsecurity=False).hexdigest()

    def cache_file(self) -> str:
        name = self.object_id()
        return f"objects/{name[:2]}/{name[2:]}"
