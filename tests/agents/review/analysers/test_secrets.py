"""Our own detector and detect-secrets: shapes of keys, literals given to names, and what only looks like one."""

from pathlib import Path

import pytest

from agents.review.analysers import analyse, detect_secrets
from agents.review.analysers.secrets import find_secrets

BODY = "MIIEowIBAAKCAQEAx3Jr2LwX9vTn4KsB7mYdq8Zr2LwX9vTn4KsB7mYdq8Zr2Lw"
# Put together here, so that no scanner takes this file for a leak.
SHAPES = {
    "aws": "AKIA" + "Q3EGRVYS7WQ4X2LM",
    "github": "ghp_" + "q8Zr2LwX9vTn4KsB7mYdq8Zr2LwX9vTn4KsB",
    "github fine-grained": "github_pat_" + "11ABCDEFG0q8Zr2LwX9vTn4KsB7mYdq8Zr2LwX9vTn4KsB7mYd",
    "gitlab": "glpat-" + "q8Zr2LwX9vTn4KsB7mYd",
    "slack": "xoxb-" + "2847561930-q8Zr2LwX9vTn4KsB7mYd",
    "stripe": "sk_live_" + "q8Zr2LwX9vTn4KsB7mYdq8Zr",
    "openai": "sk-" + "proj-q8Zr2LwX9vTn4KsB7mYdq8Zr",
    "anthropic": "sk-" + "ant-api03-q8Zr2LwX9vTn4KsB7mYd",
    "google": "AIza" + "SyDq8Zr2LwX9vTn4KsB7mYdq8Zr2LwX9vTn",
    "jwt": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
    "sendgrid": "SG." + "q8Zr2LwX9vTn4KsB7mYd.q8Zr2LwX9vTn4KsB7mYdq8Zr",
    "npm": "npm_" + "q8Zr2LwX9vTn4KsB7mYdq8Zr2LwX9vTn4KsB",
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize(
    "path", ["a.py", "a.ts", "a.swift", "a.dart", "a.vue", ".env", "a.yaml", "a.json", "Dockerfile"]
)
def test_a_providers_key_is_found_in_any_file_whatever_it_is_called(
    tmp_path: Path, name: str, path: str
) -> None:
    (tmp_path / path).write_text(f'\nx = "{SHAPES[name]}"\n')
    hits = analyse("secrets", tmp_path, [path]).hits
    assert {(hit.line, hit.cwe) for hit in hits} == {(2, 798)}
    assert "labverse" in {hit.analyser for hit in hits}
    assert SHAPES[name] not in repr(hits)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (".env", "DB_PASSWORD=Tr0ub4dor&3"),
        (".env.production", "export SECRET_KEY='q8Zr2LwX9vTn4KsB7mYd'"),
        ("config.yaml", "  password: Tr0ub4dor&3"),
        ("config.yml", '  api_key: "q8Zr2LwX9vTn4KsB7mYd"'),
        ("settings.ini", "password = Tr0ub4dor&3"),
        ("app.toml", 'secret_key = "q8Zr2LwX9vTn4KsB7mYd"'),
        ("app.json", '"clientSecret": "q8Zr2LwX9vTn4KsB7mYd",'),
        ("main.tf", '  password = "Tr0ub4dor&3"'),
        ("a.py", 'PASSWORD = "hunter2"'),
        ("a.py", 'api_key = "1234567890abcdef"'),
        ("a.py", 'def login(user, password="Tr0ub4dor&3"): ...'),
        (
            "a.py",
            'requests.get(url, auth=("app", "x"), headers={"Authorization": "Bearer " + "sk-q8Zr2LwX9vTn4KsB7mYd"})',
        ),
        ("a.py", 'app.config["SECRET_KEY"] = "q8Zr2LwX9vTn4KsB7mYd"'),
        ("a.py", 'DSN = "mysql://root:Tr0ub4dor3x@10.0.0.7/shop"'),
        ("a.js", 'const dbPassword = "Tr0ub4dor&3";'),
        ("a.ts", 'const config = { apiKey: "q8Zr2LwX9vTn4KsB7mYd" };'),
        ("a.swift", 'let apiKey = "q8Zr2LwX9vTn4KsB7mYd"'),
        ("a.dart", "const apiKey = 'q8Zr2LwX9vTn4KsB7mYd';"),
    ],
)
def test_a_literal_given_to_a_secret_name_is_found(tmp_path: Path, path: str, line: str) -> None:
    (tmp_path / path).write_text(f"\n\n{line}\n")
    hits = analyse("secrets", tmp_path, [path]).hits
    assert {hit.line for hit in hits} == {3}
    assert {hit.cwe for hit in hits} == {798}


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (".env.example", "DB_PASSWORD=changeme"),
        (".env", "DB_PASSWORD="),
        (".env", "SECRET_KEY=${SECRET_KEY}"),
        ("config.yaml", "  password: ${DB_PASSWORD}"),
        ("config.yaml", "  secretName: shop-database"),
        ("config.yaml", "  password: {{ .Values.password }}"),
        ("a.json", '"integrity": "sha512-q8Zr2LwX9vTn4KsB7mYdq8Zr2LwX9vTn4KsB7mYdq8Zr2LwX9vTn4KsB7mYd"'),
        ("a.json", '"passwordLabel": "Enter your password"'),
        ("a.py", 'password = getpass.getpass("Password: ")'),
        ("a.py", 'token = request.headers["X-Token-1"]'),
        ("a.py", 'TOKEN_PATTERN = r"[a-f0-9]{32}"'),
        ("a.py", 'commit = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b"'),
        ("a.py", 'id = "550e8400-e29b-41d4-a716-446655440000"'),
        ("a.py", 'tokenizer = "bert-base-uncased-v2"'),
        ("a.py", "# Account SID (AC" + "x" * 32 + ")"),
        ("a.py", 'names = {"generate_private_key": "DSA"}'),
        ("a.py", 'if "-----BEGIN PRIVATE KEY-----" in text:'),
        ("a.js", "const password = req.body.password;"),
        ("a.js", 'const label = t("auth.password.label");'),
        ("a.ts", 'type Secret = "token" | "password";'),
        ("package.json", '"password-hash": "^1.2.3",'),
    ],
)
def test_what_only_looks_like_a_secret_is_left_alone(tmp_path: Path, path: str, line: str) -> None:
    (tmp_path / path).write_text(f"{line}\n")
    assert analyse("secrets", tmp_path, [path]).hits == ()


def test_a_private_key_is_found_where_it_begins_and_not_shown(tmp_path: Path) -> None:
    text = f"KEY = '''\n-----BEGIN RSA PRIVATE KEY-----\n{BODY}\n{BODY}\n-----END RSA PRIVATE KEY-----\n'''\n"
    (tmp_path / "a.py").write_text(text)
    hits = analyse("secrets", tmp_path, ["a.py"]).hits
    assert {hit.line for hit in hits} == {2}
    assert BODY not in repr(hits)


def test_one_hit_for_each_line_and_analyser(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(f'API_KEY = SECRET_KEY = "{SHAPES["aws"]}" or "{SHAPES["stripe"]}"\n')
    hits = analyse("secrets", tmp_path, ["a.py"]).hits
    assert sorted(hit.analyser for hit in hits) == ["detect-secrets", "labverse"]


def test_a_shape_is_found_in_a_minified_line() -> None:
    line = "var a=1;" * 20_000 + f'k="{SHAPES["stripe"]}";' + "var b=2;" * 20_000
    assert [(number, kind) for number, kind, _ in find_secrets(line, "javascript")] == [(1, "Stripe key")]


def test_no_process_and_no_connection_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket
    import subprocess

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("must not be called")

    (tmp_path / "a.py").write_text("\n".join(f'x = "{key}"' for key in SHAPES.values()))
    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    analysis = analyse("secrets", tmp_path, ["a.py"])
    assert {hit.line for hit in analysis.hits} == set(range(1, len(SHAPES) + 1))
    assert not any(stage.error for stage in analysis.stages)


def test_lines_are_passed_over_only_if_no_detector_could_match_them() -> None:
    loaded = detect_secrets.load()
    lines = [f'x = "{key}"' for key in SHAPES.values()]
    lines += ["-----BEGIN EC PRIVATE KEY-----", "https://app:Tr0ub4dor3x@db", 'my_db_pass = "Tr0ub4dor&3"']
    matched = [
        line
        for line in lines
        if any(plugin.analyze_line("a.py", line) for plugin in (*loaded.providers, loaded.keyword))
    ]
    assert len(matched) > len(lines) / 2
    assert [line for line in matched if not detect_secrets._kind_of_secret("a.py", line)] == []
