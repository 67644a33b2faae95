import subprocess
from urllib.parse import parse_qs

FLAGS = {"from": "--from", "to": "--to"}


def words(query):
    for key, values in parse_qs(query).items():
        for value in values:
            if key in FLAGS:
                yield f"{FLAGS[key]}={value}"


def application(environ, start_response):
    flags = list(words(environ.get("QUERY_STRING", "")))
    subprocess.run(["/opt/stats/collect", *flags], check=False)
    start_response("202 Accepted", [("Content-Type", "text/plain")])
    return [b"accepted\n"]
