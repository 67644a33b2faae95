"""The approver: a person's yes or no before a side effect, for any agent that waits for one."""

from agents.approver.approver import Approver
from agents.approver.records import approvals_bucket
from agents.approver.terms import Terms

__all__ = ["Approver", "Terms", "approvals_bucket"]
