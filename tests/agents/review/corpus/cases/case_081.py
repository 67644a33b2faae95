import hmac
import json
import os

KEY = os.environ["LICENCE_KEY"].encode()


def issue(customer: str, seats: int) -> dict:
    body = json.dumps({"customer": customer, "seats": seats}, sort_keys=True).encode()
    mac = hmac.new(KEY, body, "md5")
    return {"body": body.decode(), "mac": mac.hexdigest()}


def verify(licence: dict) -> bool:
    return hmac.compare_digest(issue(**json.loads(licence["body"]))["mac"], licence["mac"])
