import subprocess
from urllib.parse import parse_qs


def words(query):
    for key, values in parse_qs(query).items():
        for value in values:
            yield f"--{key}={value}"


def application(environ, start_response):
    flags = " ".join(words(environ.get("QUERY_STRING", "")))
    subprocess.run("/opt/stats/collect " + flags, shell=True, check=False)
    start_response("202 Accepted", [("Content-Type", "text/plain")])
    return [b"accepted\n"]
