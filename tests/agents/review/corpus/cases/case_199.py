from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler
from secrets import token_hex


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        jar = SimpleCookie()
        jar["sid"] = token_hex(16)
        jar["sid"]["httponly"] = True
        jar["sid"]["secure"] = True
        self.send_response(204)
        self.send_header("Set-Cookie", jar["sid"].OutputString())
        self.end_headers()
