from flask import Flask, Response, abort
from itsdangerous import BadSignature, URLSafeTimedSerializer

app = Flask(__name__)
serializer = URLSafeTimedSerializer(open("/run/secrets/state").read())


@app.route("/resume/<state>")
def resume(state):
    try:
        target = serializer.loads(state, max_age=600)
    except BadSignature:
        abort(400)
    response = Response(status=303)
    response.headers["Location"] = target
    return response
