"""Approvals to show and clicks to send, for tests of people in Slack."""

import hashlib
import json
import time
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from agents.messenger.cards import APPROVE, approval_card
from bus.envelope import time_text
from orchestrator.slack.signature import sign
from schemas.approval import Approval, ApprovalRequested, ApprovalState, Ballot, Fact, Vote
from schemas.ids import new_id

SECRET: Final = "8f742231b10e8888abcd99yyyzzz85a5"
DIGEST: Final = hashlib.sha256(b"a deal").hexdigest()


def make_approval(**changes: Any) -> Approval:
    """An open approval; `title`, `facts`, `reasons`, `text`, `cost_nusd` are of its request."""
    asked = {
        name: changes.pop(name)
        for name in ("title", "facts", "reasons", "text", "cost_nusd", "kind", "digest")
        if name in changes
    }
    now_s = time.time()
    request = ApprovalRequested(
        **{
            "kind": "deal",
            "title": "Deal with TikTok and Spotify",
            "digest": DIGEST,
            "facts": (Fact(label="Pays", value="$120.00 to TikTok"),),
            "cost_nusd": 120 * 10**9,
            **asked,
        }
    )
    return Approval(
        **{
            "approval_id": new_id(),
            "task_id": new_id(),
            "request": request,
            "requested_by": "labverse/negotiator",
            "policy_version": "p1",
            "approvers": ("slack:U024BE7LH", "alice"),
            "opened_at": time_text(now_s),
            "deadline": time_text(now_s + 3_600),
            **changes,
        }
    )


def decided(approval: Approval, state: ApprovalState = ApprovalState.APPROVED, **changes: Any) -> Approval:
    """The same after alice has decided on the command line."""
    now = time_text(time.time())
    ballot = Ballot.VETO if state is ApprovalState.VETOED else Ballot.APPROVE
    vote = Vote(by="alice", identity="cli:alice", ballot=ballot, at=now, vote_id=new_id())
    votes = (vote,) if state in (ApprovalState.APPROVED, ApprovalState.VETOED) else ()
    return msgspec.structs.replace(approval, **{"state": state, "votes": votes, "decided_at": now, **changes})


def click_body(
    approval: Approval,
    *,
    user: str = "U024BE7LH",
    action_id: str = APPROVE,
    action_ts: str = "",
    response_url: str = "",
    **changes: Any,
) -> bytes:
    """The form that Slack posts when `user` clicks on a button of the approval's card."""
    blocks = approval_card(approval).blocks
    buttons = [button for block in blocks if block["type"] == "actions" for button in block["elements"]]
    value = next(button["value"] for button in buttons if button["action_id"] == action_id)
    payload = {
        "type": "block_actions",
        "user": {"id": user, "username": "somebody", "team_id": "T0TEAM"},
        "api_app_id": "A0APP",
        "token": "an-old-verification-token",
        "container": {"type": "message", "channel_id": "C0APPROVALS"},
        "team": {"id": "T0TEAM", "domain": "lab"},
        "response_url": response_url,
        "actions": [
            {
                "type": "button",
                "action_id": action_id,
                "block_id": "b1",
                "value": value,
                "action_ts": action_ts or f"{time.time():.6f}",
            }
        ],
        **changes,
    }
    return urlencode({"payload": json.dumps(payload)}).encode()


def signed(body: bytes, *, secret: str = SECRET, at_s: float | None = None, **more: str) -> dict[str, str]:
    """The headers with which Slack would send `body`."""
    timestamp = str(int(time.time() if at_s is None else at_s))
    return {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": timestamp,
        "X-Slack-Signature": sign(secret, timestamp, body),
        **more,
    }
