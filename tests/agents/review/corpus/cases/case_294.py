#!/usr/bin/env python3
import os
import shlex
import subprocess
import sys
import tempfile


def edit(text):
    with tempfile.NamedTemporaryFile("w+", suffix=".md") as draft:
        draft.write(text)
        draft.flush()
        editor = shlex.split(os.environ.get("EDITOR", "vi"))
        subprocess.run([*editor, draft.name], check=True)
        draft.seek(0)
        return draft.read()


if __name__ == "__main__":
    sys.stdout.write(edit("# Notes\n"))
