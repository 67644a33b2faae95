"""Identities: sortable ones for what is new, derived ones for what follows from something."""

import hashlib
import os
import time

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id() -> str:
    """26 characters that sort by time of creation: 48 bits of milliseconds, 80 random bits (ULID)."""
    number = (time.time_ns() // 1_000_000 << 80) | int.from_bytes(os.urandom(10), "big")
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


def derive_id(input_id: str, agent: str, replay: int = 0) -> str:
    """What the outputs of `agent` for the event `input_id` are called, before their index: 20 hex characters.

    The same input gives the same ids, whichever worker handles it and however often: this is the idempotency
    key of everything that a handler emits. A replayed dead letter (`replay` > 0) counts as a new input.
    """
    key = f"{input_id}\n{agent}\n{replay}" if replay else f"{input_id}\n{agent}"
    return hashlib.blake2b(key.encode(), digest_size=10).hexdigest()


def output_id(derived: str, index: int) -> str:
    """The id of output `index` of a handler; index 0 is also the mark that its input is done."""
    return f"{derived}-{index}"
