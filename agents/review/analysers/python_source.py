"""Whether Python source can be parsed by the Python that runs, and if not, why."""

import ast
import sys
import warnings
from pathlib import Path


def why_unparsable(path: Path) -> str:
    """Empty when the file parses; else the reason, with the line.

    Analysers that use the running Python's parser skip such files in silence.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    try:
        source = path.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # of the code under review, not ours
            warnings.simplefilter("ignore", DeprecationWarning)
            ast.parse(source)
    except SyntaxError as error:
        return f"can't be parsed as Python {version}: {error.msg} (line {error.lineno or '?'})"
    except (RecursionError, MemoryError):
        return "is nested too deeply to be parsed"
    except ValueError as error:
        return f"can't be parsed: {error}"
    except OSError as error:
        return f"could not be read: {error.strerror}"
    return ""
