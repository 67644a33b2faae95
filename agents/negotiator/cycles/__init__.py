"""Programmes: negotiations that are repeated unattended, one for each cycle, whoever runs them."""

from agents.negotiator.cycles.programme import (
    Patience,
    ProgrammeError,
    check_interval,
    check_name,
    programme_name,
    programmes,
    resume,
)
from agents.negotiator.cycles.runner import Runner, Tell

__all__ = [
    "Patience",
    "ProgrammeError",
    "Runner",
    "Tell",
    "check_interval",
    "check_name",
    "programme_name",
    "programmes",
    "resume",
]
