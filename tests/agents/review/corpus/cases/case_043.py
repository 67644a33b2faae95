import pickle
import socketserver
import struct


class Receiver(socketserver.StreamRequestHandler):
    def handle(self):
        header = self.rfile.read(4)
        (length,) = struct.unpack(">L", header)
        record = pickle.loads(self.rfile.read(length))
        self.server.records.append(record)


class LogServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True

    def __init__(self, address):
        super().__init__(address, Receiver)
        self.records = []


if __name__ == "__main__":
    LogServer(("0.0.0.0", 9020)).serve_forever()
