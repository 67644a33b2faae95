"""The `labverse` command."""


def main() -> int:
    return 0
