import pickle
import socketserver
import struct


class Receiver(socketserver.StreamRequestHandler):
    def handle(self):
        header = self.rfile.read(4)
        (length,) = struct.unpack(">L", header)
        text = self.rfile.read(min(length, 65536)).decode("utf-8", "replace")
        snapshot = pickle.loads(pickle.dumps(self.server.records))
        self.server.records = [*snapshot, text]


class LogServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True

    def __init__(self, address):
        super().__init__(address, Receiver)
        self.records = []


if __name__ == "__main__":
    LogServer(("0.0.0.0", 9020)).serve_forever()
