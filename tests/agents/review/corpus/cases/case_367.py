import random
import time

from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class Vault:
    def __init__(self):
        self.key = AESGCM.generate_key(bit_length=256)
        self.cipher = AESGCM(self.key)
        self.count = 0

    def seal(self, text: str) -> bytes:
        self.count += 1
        nonce = self.count.to_bytes(12, "big")
        return nonce + self.cipher.encrypt(nonce, text.encode(), None)

    def deliver(self, send, text: str) -> None:
        for attempt in range(4):
            if send(self.seal(text)):
                return
            time.sleep(2**attempt * random.uniform(0.5, 1.5))
