from urllib.parse import parse_qs


def page(name, visits):
    return "<p>%s has been here %d times</p>" % (name, visits)


def application(environ, start_response):
    query = parse_qs(environ["QUERY_STRING"])
    name = query.get("name", ["Somebody"])[0]
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
    body = page(name, 3)
    return [body.encode("utf-8")]
