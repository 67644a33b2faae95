"""A NATS client as somebody would write it in another language: a socket, and lines of text."""

import json
import socket
from urllib.parse import urlsplit


class PlainNats:
    """Speaks the NATS protocol by hand; nothing of ours, no client library."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname or "", parts.port or 4222), timeout=30)
        self._file = self._socket.makefile("rb")
        self._file.readline()  # INFO
        connect = {
            "verbose": False,
            "user": parts.username,
            "pass": parts.password,
            "headers": True,
            "no_responders": True,
        }
        self._send(f"CONNECT {json.dumps(connect)}\r\nPING\r\n")
        self._until(b"PONG")

    def subscribe(self, subject: str) -> None:
        self._send(f"SUB {subject} 1\r\nPING\r\n")
        self._until(b"PONG")

    def publish(self, subject: str, payload: bytes, reply: str = "") -> None:
        self._send(f"PUB {subject} {reply} {len(payload)}\r\n{payload.decode()}\r\nPING\r\n")
        self._until(b"PONG")

    def next_message(self) -> tuple[str, bytes]:
        """Subject and payload of the next message, whatever headers it has."""
        while True:
            line = self._file.readline().decode().split()
            if line[0] == "PING":
                self._send("PONG\r\n")
            elif line[0] == "HMSG":
                header_bytes, total = int(line[-2]), int(line[-1])
                data = self._file.read(total + 2)
                return line[1], data[header_bytes:total]
            elif line[0] == "MSG":
                return line[1], self._file.read(int(line[-1]) + 2)[:-2]

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def _send(self, text: str) -> None:
        self._socket.sendall(text.encode())

    def _until(self, word: bytes) -> None:
        while not (line := self._file.readline()).startswith(word):
            if not line or line.startswith(b"-ERR"):
                raise ConnectionError(line)
