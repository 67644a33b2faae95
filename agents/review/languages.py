"""Which files a review reads, and in which language they are written."""

from pathlib import PurePosixPath
from typing import Final

BY_SUFFIX: Final[dict[str, str]] = {
    ".py": "python",
    ".pyi": "python",
    ".js": "javascript",
    ".jsx": "javascript",
    ".mjs": "javascript",
    ".cjs": "javascript",
    ".ts": "typescript",
    ".mts": "typescript",
    ".cts": "typescript",
    ".tsx": "tsx",
    ".vue": "vue",
    ".swift": "swift",
    ".dart": "dart",
    # Text that holds settings, and sometimes secrets.
    ".env": "env",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".json": "json",
    ".toml": "toml",
    ".ini": "ini",
    ".cfg": "ini",
    ".conf": "ini",
    ".properties": "properties",
    ".plist": "xml",
    ".sh": "shell",
    ".bash": "shell",
    ".tf": "terraform",
    ".tfvars": "terraform",
    ".zsh": "shell",
    ".xml": "xml",
    ".pem": "pem",
    ".key": "pem",
    ".dockerfile": "dockerfile",
}

BY_NAME: Final[dict[str, str]] = {
    "dockerfile": "dockerfile",
    "containerfile": "dockerfile",
    ".npmrc": "ini",
    ".pypirc": "ini",
    ".netrc": "properties",
    ".htpasswd": "properties",
    ".envrc": "env",
    "id_rsa": "pem",
    "id_dsa": "pem",
    "id_ecdsa": "pem",
    "id_ed25519": "pem",
}

CODE: Final = frozenset({"python", "javascript", "typescript", "tsx", "vue", "swift", "dart"})
"""Languages of programs. Files of every other language are looked at for secrets only."""

LOCK_FILES: Final = frozenset(
    {
        "package-lock.json",
        "npm-shrinkwrap.json",
        "pnpm-lock.yaml",
        "packages.lock.json",
        "labverse-dismissals.json",
    }
)
"""Written by programs, full of hashes that look like secrets, and nobody's code."""

FENCES: Final[dict[str, str]] = {
    "shell": "sh",
    "terraform": "hcl",
    "env": "sh",
    "properties": "ini",
    "pem": "text",
}
"""Names for a fence of Markdown, where they differ from ours."""


def language_of(path: str) -> str:
    """The language of a file by its name, such as `python`; empty for files that are not reviewed."""
    name = PurePosixPath(path).name.lower()
    if name in LOCK_FILES:
        return ""
    if name in BY_NAME:
        return BY_NAME[name]
    if language := BY_SUFFIX.get(PurePosixPath(name).suffix):
        return language
    if name == ".env" or name.startswith(".env."):
        return "env"
    stem, _, variant = name.partition(".")
    return (
        "" if "." in variant or variant == "pub" else BY_NAME.get(stem, "")
    )  # Dockerfile.dev, not id_rsa.pub


def is_code(path: str) -> bool:
    """Whether the file is a program; otherwise it is settings or text, or not reviewed at all."""
    return language_of(path) in CODE


def fence_of(path: str) -> str:
    """What stands after the backticks of a Markdown fence around lines of this file."""
    language = language_of(path)
    return FENCES.get(language, language)
