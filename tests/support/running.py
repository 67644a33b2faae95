"""What runs on this machine, and who started it."""

from pathlib import Path


def processes() -> dict[int, tuple[int, str]]:
    """Parent and command line of every process."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            found[int(entry.name)] = parent, command
    return found


def descendants(pid: int) -> dict[int, str]:
    """Command lines of the children of `pid`, and of theirs."""
    everybody = processes()
    found: dict[int, str] = {}
    ahead = [pid]
    while ahead:
        parent = ahead.pop()
        for child, (its_parent, command) in everybody.items():
            if its_parent == parent:
                found[child] = command
                ahead.append(child)
    return found


def environment_of(pid: int) -> dict[str, str]:
    """The environment that a process was started with."""
    entries = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    return dict(entry.partition("=")[::2] for entry in entries if entry)
