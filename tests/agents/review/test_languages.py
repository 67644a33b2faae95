import pytest

from agents.review.languages import fence_of, is_code, language_of


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("a/b.py", "python"),
        ("A.PY", "python"),
        ("types.d.ts", "typescript"),
        ("App.vue", "vue"),
        ("x.tsx", "tsx"),
        ("main.dart", "dart"),
        ("View.swift", "swift"),
        (".env", "env"),
        (".env.production", "env"),
        (".env.json", "json"),
        ("prod.env", "env"),
        ("Dockerfile", "dockerfile"),
        ("Dockerfile.dev", "dockerfile"),
        ("web.dockerfile", "dockerfile"),
        ("dockerfile.py", "python"),
        ("deploy/id_rsa", "pem"),
        ("id_rsa.pub", ""),
        ("server.key", "pem"),
        (".envrc", "env"),
        ("dockerfile.abi3.so", ""),
        ("package.json", "json"),
        ("package-lock.json", ""),
        ("README.md", ""),
        ("py", ""),
        (".py", ""),
        ("", ""),
    ],
)
def test_the_language_follows_from_the_name(path: str, language: str) -> None:
    assert language_of(path) == language


def test_settings_are_no_code() -> None:
    assert is_code("a.py")
    assert not is_code("a.yaml")
    assert not is_code("a.md")


def test_fences_have_the_names_that_markdown_knows() -> None:
    assert [fence_of(path) for path in ("a.py", ".env", "x.tf", "a.tsx", "a.md")] == [
        "python",
        "sh",
        "hcl",
        "tsx",
        "",
    ]
