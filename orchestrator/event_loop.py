"""The event loop of commands: processes that are started from it see no secret of our environment.

Libraries start processes too (anyio those that analyse code), and hand on all of the environment they find.
"""

import asyncio
import os
from typing import Any

from bus.child_environment import child_environment


class KeylessLoop(asyncio.SelectorEventLoop):
    """A loop whose child processes get `child_environment`, unless they are given one of their own."""

    async def subprocess_exec(self, *args: Any, env: Any = None, **options: Any) -> Any:
        env = child_environment(os.environ) if env is None else env
        return await super().subprocess_exec(*args, env=env, **options)

    async def subprocess_shell(self, *args: Any, env: Any = None, **options: Any) -> Any:
        env = child_environment(os.environ) if env is None else env
        return await super().subprocess_shell(*args, env=env, **options)
