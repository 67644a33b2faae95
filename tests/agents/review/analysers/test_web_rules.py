"""Each web rule finds what it is for, and passes over what looks alike but is fine."""

from pathlib import Path

import pytest

from agents.review.analysers.web import Web
from agents.review.analysers.web.rules import words


def rules_in(folder: Path, files: dict[str, str], *, ask: tuple[str, ...] = ()) -> set[tuple[str, int]]:
    """(rule, line) of every hit in `ask`, or in all files."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    analysis = Web().run("security", folder, ask or tuple(files))
    assert not analysis.not_reviewed
    return {(hit.rule, hit.line) for hit in analysis.hits}


HEAD = "from flask import Flask, request, jsonify, session, redirect\nimport hashlib, hmac, jwt, uuid, time, logging, requests\n"
"""Two lines before each source."""

BAD = [
    ("web-debug", 3, "app.config['DEBUG'] = True\n", "app.py"),
    ("web-debug", 3, "DEBUG = True\n", "shop/settings.py"),
    ("web-debug", 4, "class Config:\n    DEBUG = True\n", "config.py"),
    ("web-debug", 3, "app.run(host='0.0.0.0', debug=True)\n", "app.py"),
    ("web-debug", 3, "DEBUG = os.environ.get('DEBUG', True)\n", "settings.py"),
    ("web-allowed-hosts", 3, "ALLOWED_HOSTS = ['*']\n", "shop/settings.py"),
    ("web-secret-key", 3, "SECRET_KEY = 'django-insecure-abc123'\n", "shop/settings.py"),
    ("web-secret-key", 3, "app.secret_key = 'secret'\n", "app.py"),
    ("web-secret-key", 3, "app.config['SECRET_KEY'] = 'random'\n", "app.py"),
    ("web-secret-key", 3, "app.config.update(SECRET_KEY='random')\n", "app.py"),
    ("web-secret-key", 3, "app.config.from_mapping(SECRET_KEY='dev-key')\n", "app.py"),
    ("web-secret-key", 3, "SECRET_KEY = os.environ.get('SECRET_KEY', 'fallback')\n", "config.py"),
    ("web-secret-key", 3, "SECRET_KEY = os.environ.get('SECRET_KEY') or 'fallback'\n", "config.py"),
    ("web-secret-key", 4, "def make(user):\n    return jwt.encode({'user': user}, 'secret', algorithm='HS256')\n", "tokens.py"),
    ("web-secret-key", 3, "KEY = 'not-so-secret'\ndef make(user):\n    return jwt.encode({'user': user}, KEY, algorithm='HS256')\n", "tokens.py"),
    ("web-hardcoded-password", 4, "def login(name, password):\n    if name == 'admin' and password == 'admin123':\n        return True\n", "login.py"),
    ("web-hardcoded-password", 3, "app.config['SQLALCHEMY_DATABASE_URI'] = 'postgresql://shop:Kd8sow1x@db.shop.com/shop'\n", "app.py"),
    ("web-hardcoded-password", 3, "DATABASES = {'default': {'ENGINE': 'x', 'PASSWORD': 'hunter22'}}\n", "shop/settings.py"),
    ("web-hardcoded-password", 3, "connection = psycopg2.connect(user='shop', password='hunter22')\n", "db.py"),
    ("web-csrf-off", 3, "app.config['WTF_CSRF_ENABLED'] = False\n", "app.py"),
    ("web-csrf-off", 3, "MIDDLEWARE = ['django.contrib.sessions.middleware.SessionMiddleware']\n", "shop/settings.py"),
    ("web-cookie-scripts", 3, "SESSION_COOKIE_HTTPONLY = False\n", "shop/settings.py"),
    ("web-cookie-insecure", 3, "SESSION_COOKIE_SECURE = False\n", "shop/settings.py"),
    ("web-cookie-scripts", 3, "response.set_cookie(key='session', value=token)\n", "app.py"),
    ("web-cookie-insecure", 3, "response.set_cookie('auth_token', token, httponly=True)\n", "app.py"),
    ("web-cors", 3, "CORS_ALLOW_ALL_ORIGINS = True\nCORS_ALLOW_CREDENTIALS = True\n", "shop/settings.py"),
    ("web-cors", 4, "def after(response):\n    response.headers['Access-Control-Allow-Origin'] = request.headers.get('Origin')\n", "app.py"),
    ("web-password-plain", 5, "def login():\n    user = User.query.filter_by(name=request.form['name']).first()\n    if user and user.password == request.form['password']:\n        return 'in'\n", "app.py"),
    ("web-password-plain", 5, "def login():\n    password = request.json.get('password')\n    user = User.query.filter_by(name='a', password=password).first()\n    return user\n", "app.py"),
    ("web-password-plain", 5, "def login():\n    password = request.json['password']\n    cur.execute('SELECT * FROM users WHERE name = ? AND password = ?', ('a', password))\n", "app.py"),
    ("web-password-plain", 5, "def join():\n    password = request.form['password']\n    cur.execute('INSERT INTO users (name, password) VALUES (?, ?)', ('a', password))\n", "app.py"),
    ("web-password-plain", 6, "class User(db.Model):\n    password = db.Column(db.String)\ndef join():\n    user = User(name='a', password=request.form['password'])\n", "app.py"),
    ("web-password-plain", 5, "class User(Base):\n    def check(self, password):\n        return self.password == password\n", "models.py"),
    ("web-password-fast-hash", 4, "def keep(password):\n    return hashlib.md5(password.encode()).hexdigest()\n", "login.py"),
    ("web-password-fast-hash", 4, "def keep(password, salt):\n    return hashlib.sha256((salt + password).encode()).hexdigest()\n", "login.py"),
    ("web-password-fast-hash", 3, "PASSWORD_HASHERS = ['django.contrib.auth.hashers.MD5PasswordHasher']\n", "shop/settings.py"),
    ("web-timing", 5, "def check(body, signature):\n    expected = hmac.new(KEY, body, 'sha256').hexdigest()\n    return expected == signature\n", "hooks.py"),
    ("web-tls-unverified", 3, "session.post(url, verify=False)\n", "client.py"),
    ("web-tls-unverified", 3, "session.verify = False\n", "client.py"),
    ("web-jwt-unverified", 3, "claims = jwt.decode(token, options={'verify_signature': False})\n", "tokens.py"),
    ("web-jwt-unverified", 3, "claims = jwt.decode(token, KEY, algorithms=['HS256', 'none'])\n", "tokens.py"),
    ("web-guessable-token", 3, "reset_token = str(uuid.uuid1())\n", "reset.py"),
    ("web-guessable-token", 3, "token = hashlib.md5(str(time.time()).encode()).hexdigest()\n", "reset.py"),
    ("web-secret-logged", 4, "def login(password):\n    logging.info('login with %s', password)\n", "login.py"),
    ("web-secret-logged", 4, "def login(user):\n    app.logger.debug(f'{user.name} {user.password}')\n", "login.py"),
    ("web-error-told", 8, "@app.get('/a')\ndef show():\n    try:\n        work()\n    except Exception as e:\n" + "        return jsonify(error=str(e)), 500\n", "app.py"),
    ("web-error-told", 7, "@app.get('/a')\ndef show():\n    try:\n        work()\n    except Exception: return traceback.format_exc()\n", "app.py"),
    ("web-mass-assignment", 7, "class User(db.Model):\n    role = db.Column(db.String)\n@app.post('/a')\ndef join():\n    user = User(**request.json)\n", "app.py"),
    ("web-mass-assignment", 6, "@app.post('/a')\ndef edit(user):\n    for key, value in request.json.items():\n        setattr(user, key, value)\n", "app.py"),
    ("web-upload", 6, "@app.post('/a')\ndef upload():\n    file = request.files['file']\n    file.save(os.path.join('static', file.filename))\n", "app.py"),
    ("web-password-shown", 5, "class User(Base):\n    def to_dict(self):\n        return {'name': self.name, 'password': self.password}\n", "models.py"),
    ("web-race", 7, "@app.post('/pay')\ndef pay(user, amount):\n    if user.balance < amount:\n        return 'no'\n    user.balance -= amount\n", "app.py"),
]  # fmt: skip

GOOD = [
    ("DEBUG = False\n", "shop/settings.py"),
    ("DEBUG = True\n", "shop/settings/local.py"),
    ("DEBUG = True\n", "shop/test_settings.py"),
    ("class DevelopmentConfig:\n    DEBUG = True\n    SECRET_KEY = 'dev'\n", "config.py"),
    ("DEBUG = os.environ.get('DEBUG') == '1'\n", "settings.py"),
    ("app.run(debug=os.environ.get('DEBUG'))\n", "app.py"),
    ("ALLOWED_HOSTS = ['shop.com']\n", "shop/settings.py"),
    ("SECRET_KEY = os.environ['SECRET_KEY']\n", "shop/settings.py"),
    ("SECRET_KEY = os.environ.get('SECRET_KEY', '')\n", "shop/settings.py"),
    ("SECRET_KEY = secrets.token_hex(32)\n", "shop/settings.py"),
    ("app.config['SECRET_KEY'] = 'test'\n", "tests/conftest.py"),
    ("CLIENT_SECRET = 'client_secret'\nREASON_MISSING_SECRET = 'missing_secret'\n", "oauth.py"),
    ("def make(user):\n    return jwt.encode({'user': user}, KEY, algorithm='HS256')\n", "tokens.py"),
    ("URI = 'postgresql://user:password@host/name'\nOTHER = 'https://docs.python.org'\n", "db.py"),
    ("MIDDLEWARE = ['a.SessionMiddleware', 'django.middleware.csrf.CsrfViewMiddleware']\n", "shop/settings.py"),
    ("SESSION_COOKIE_SECURE = True\nSESSION_COOKIE_HTTPONLY = True\n", "shop/settings.py"),
    ("response.set_cookie('theme', 'dark')\nresponse.set_cookie('session', t, httponly=True, secure=True)\n", "app.py"),
    ("def join(form):\n    if form.password.data != form.confirm.data:\n        return 'differ'\n", "app.py"),
    ("def join():\n    if request.form['password'] != request.form['password2']:\n        return 'differ'\n", "app.py"),
    ("def login(user):\n    return check_password_hash(user.password, request.form['password'])\n", "app.py"),
    ("def origin(one, other):\n    return one.url.password == other.url.password\n", "urls.py"),
    ("class User(db.Model):\n    pass\ndef join():\n    password = generate_password_hash(request.form['password'])\n    user = User(password=password)\n", "app.py"),
    ("class User(db.Model):\n    def set(self, password):\n        self.hash = bcrypt.hashpw(password)\ndef join():\n    u = User(password=request.form['password'])\n", "app.py"),
    ("class UserIn(BaseModel):\n    password: str\ndef join():\n    user = UserIn(password=request.json['password'])\n", "app.py"),
    ("def is_pwned(password):\n    return hashlib.sha1(password.encode()).hexdigest()[:5]\n", "pwned.py"),
    ("def etag(body):\n    return hashlib.md5(body).hexdigest()\n", "cache.py"),
    ("def check(body, given):\n    code = hmac.new(KEY, body, 'sha256').hexdigest()\n    return hmac.compare_digest(code, given)\n", "hooks.py"),
    ("requests.get(url, verify=True)\nrequests.get(url, verify='/ca.pem')\n", "client.py"),
    ("claims = jwt.decode(token, KEY, algorithms=['HS256'])\n", "tokens.py"),
    ("token = secrets.token_urlsafe()\nexpires_token = time.time() + 3600\nname = str(uuid.uuid1())\n", "reset.py"),
    ("def login(user):\n    logging.info('password changed for %s', user.name)\n    logging.info(len(user.password))\n", "login.py"),
    ("@app.get('/a')\ndef show():\n    try:\n        work()\n    except Exception as e:\n        logging.exception(e)\n        return 'failed', 500\n", "app.py"),
    ("@app.get('/a')\ndef show():\n    try:\n        work()\n    except BadName as e:\n        return str(e), 400\n", "app.py"),
    ("class User(db.Model):\n    pass\n@app.post('/a')\ndef join():\n    user = User(name=request.json['name'])\n", "app.py"),
    ("@app.post('/a')\ndef edit(user):\n    for key, value in request.json.items():\n        if key in ALLOWED:\n            setattr(user, key, value)\n", "app.py"),
    ("@app.post('/a')\ndef upload():\n    file = request.files['file']\n    if not allowed_file(file.filename):\n        return 'no'\n    file.save(file.filename)\n", "app.py"),
    ("class User(Base):\n    def to_dict(self):\n        return {'name': self.name, 'has_password': bool(self.password)}\n", "models.py"),
    ("@app.post('/pay')\ndef pay(user_id, amount):\n    user = User.query.with_for_update().get(user_id)\n    if user.balance < amount:\n        return 'no'\n    user.balance -= amount\n", "app.py"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "line", "source", "path"), BAD)
def test_a_rule_finds_what_it_is_for(tmp_path: Path, rule: str, line: int, source: str, path: str) -> None:
    assert (rule, line) in rules_in(tmp_path, {path: HEAD + source})


@pytest.mark.parametrize(("source", "path"), GOOD)
def test_what_looks_alike_but_is_fine_is_passed_over(tmp_path: Path, source: str, path: str) -> None:
    assert rules_in(tmp_path, {path: HEAD + source}) == set()


def test_nothing_is_said_of_tests(tmp_path: Path) -> None:
    files = {f"tests/unit/{number}/{path}": HEAD + source for number, (_, _, source, path) in enumerate(BAD)}
    assert rules_in(tmp_path, files) == set()


def test_each_rule_has_a_bad_example_here_or_in_the_tests_of_access() -> None:
    of_access = {"web-missing-authorisation", "web-foreign-object", "web-csrf-none"}
    assert {rule for rule, *_ in BAD} | of_access == set(words())


def test_newer_syntax_is_read_and_a_broken_file_does_not_take_others_along(tmp_path: Path) -> None:
    (tmp_path / "binary.py").write_bytes(b"\0\1\2")
    (tmp_path / "app.py").write_text("type A = int\ndef f[T](a: T): ...\napp.secret_key = 'secret'\n")
    analysis = Web().run("security", tmp_path, ["app.py", "binary.py", "gone.py"])
    assert [(hit.rule, hit.line) for hit in analysis.hits] == [("web-secret-key", 3)]
    assert {one.path for one in analysis.not_reviewed} == {"binary.py", "gone.py"}


def test_other_roles_and_files_asked_for_bring_nothing_of_theirs(tmp_path: Path) -> None:
    files = {"app.py": "app.secret_key = 'secret'\n", "other.py": "x = 1\n"}
    assert rules_in(tmp_path, files, ask=("other.py",)) == set()
    assert Web().run("quality", tmp_path, ["app.py"]).hits == ()


def test_a_folder_that_changed_is_read_anew(tmp_path: Path) -> None:
    web = Web()
    (tmp_path / "app.py").write_text("app.secret_key = KEY\n")
    assert web.run("security", tmp_path, ["app.py"]).hits == ()
    (tmp_path / "app.py").write_text("app.secret_key = 'secret'\n")
    assert [hit.rule for hit in web.run("security", tmp_path, ["app.py"]).hits] == ["web-secret-key"]


@pytest.mark.parametrize(
    ("condition", "is_development"),
    [
        ("if DEBUG:", True),
        ("if os.environ['FLASK_ENV'] == 'development':", True),
        ("if not DEBUG:", False),
        ("if user == 'test':", False),
        ("if __name__ == '__main__':", False),
    ],
)
def test_branches_for_development_are_left_out(tmp_path: Path, condition: str, is_development: bool) -> None:
    found = rules_in(tmp_path, {"app.py": f"{condition}\n    app.secret_key = 'secret'\n"})
    assert found == (set() if is_development else {("web-secret-key", 2)})


def test_a_login_named_test_is_found_like_any_other(tmp_path: Path) -> None:
    source = (
        "def login(name, password):\n    if name == 'test' and password == 'test123':\n        return True\n"
    )
    assert rules_in(tmp_path, {"app.py": source}) == {("web-hardcoded-password", 2)}
