"""Events in one line each, for people who watch a task."""

from agents.cost_guard.report import dollars
from agents.negotiator.gates import usd
from agents.review.report import summary_line
from schemas.approval import (
    ApprovalDecided,
    ApprovalExpired,
    ApprovalExpiring,
    ApprovalOpened,
    ApprovalRequested,
    ApprovalVoted,
    ApprovalWithdrawn,
)
from schemas.cost import CostRecorded, CostThresholdCrossed
from schemas.event import Event
from schemas.negotiation import (
    NegotiationAgreed,
    NegotiationExpired,
    NegotiationNoDeal,
    NegotiationOpened,
    NegotiationProposed,
    NegotiationRequested,
    NegotiationVetoed,
    PositionAsked,
    PositionStated,
)
from schemas.review import (
    ReviewAssigned,
    ReviewCompleted,
    ReviewFindings,
    ReviewPlanned,
    ReviewRequested,
)
from schemas.task import TaskCancelled, TaskExpired, TaskStepFailed


def told(event: Event) -> str:
    """What happened, as far as its type has words; empty for others."""
    return _of_reviews(event) or _of_negotiations(event) or _of_approvals(event) or _of_tasks(event)


def _of_reviews(event: Event) -> str:
    match event:
        case ReviewRequested(name=name):
            return name
        case ReviewPlanned(files=files, lines=lines, assignments=steps):
            return f"{files} files, {lines} lines, {len(steps)} assignments"
        case ReviewAssigned(index=index, of=of, role=role, paths=paths):
            return f"{index + 1}/{of} {role}: {', '.join(paths[:2])}{' …' if len(paths) > 2 else ''}"
        case ReviewFindings(index=index, agent=agent, role=role, hits=hits, seconds=seconds):
            return f"{index + 1} {role} by {agent}: {len(hits)} hits in {seconds:.2f} s"
        case ReviewCompleted(report=report):
            return summary_line(report)
        case _:
            return ""


def _of_tasks(event: Event) -> str:
    match event:
        case TaskCancelled(by=by, reason=reason):
            return f"by {by} {reason}"
        case TaskExpired(agent=agent, event_type=tag, event_id=step):
            return f"{agent} had no time left for {tag} {step}"
        case TaskStepFailed(agent=agent, event_type=tag, reason=reason):
            return f"{agent} gave up {tag}: {reason}"
        case CostRecorded(record=record, task_spent_nusd=spent):
            tokens = f"{record.usage.input_tokens} + {record.usage.output_tokens} tokens"
            cost = f"{dollars(record.cost_nusd)}, {dollars(spent)} so far"
            return f"{record.provider}/{record.model} {record.outcome} in {record.latency_s:.2f} s: {tokens}, {cost}"
        case CostThresholdCrossed(budget=budget, percent=percent, is_stop=is_stop):
            stop = ": paid calls stop" if is_stop else ""
            return f"{percent} % of {budget.limit} ({dollars(budget.limit_nusd)}) is used{stop}"
        case _:
            return ""


def _of_negotiations(event: Event) -> str:
    match event:
        case NegotiationRequested(goal=goal, platforms=platforms, budget_nusd=budget):
            return f"{goal}: {', '.join(platforms)}, at most {usd(budget)}"
        case NegotiationOpened(parties=parties):
            return f"asks {', '.join(parties)}"
        case PositionAsked(party=party):
            return f"of {party}"
        case PositionStated(party=party, words=words):
            return f"{party}: {' '.join(words.split())[:200]}"
        case NegotiationProposed(deal=deal, amount_nusd=amount, approval_reasons=reasons):
            asks = f"; a person must decide: {'; '.join(reasons)}" if reasons else ""
            return f"{_deal(deal)}, at most {usd(amount)}{asks}"
        case NegotiationAgreed(deal=deal, amount_nusd=amount, by=by):
            who = f", approved by {', '.join(by)}" if by else ""
            return f"{_deal(deal)}, at most {usd(amount)}{who}"
        case NegotiationVetoed(by=by, note=note):
            return f"by {by}{': ' + note if note else ''}"
        case NegotiationExpired(why=why):
            return why
        case NegotiationNoDeal(reason=reason):
            return reason
        case _:
            return ""


def _of_approvals(event: Event) -> str:
    match event:
        case ApprovalRequested(title=title):
            return title
        case ApprovalOpened(approval=approval):
            who = ", ".join(approval.approvers) or "nobody"
            return f"{approval.approval_id}: {who} may decide until {approval.deadline[:19]}Z"
        case ApprovalVoted(by=by, missing=missing):
            return f"{by} said yes, {missing} more must"
        case ApprovalExpiring(deadline=deadline):
            return f"nobody has decided; it expires at {deadline[:19]}Z"
        case ApprovalDecided(state=state, votes=votes):
            return f"{state} by {', '.join(vote.by for vote in votes)}"
        case ApprovalExpired(deadline=deadline):
            return f"nobody decided by {deadline[:19]}Z"
        case ApprovalWithdrawn(why=why):
            return why
        case _:
            return ""


def _deal(deal: dict[str, str]) -> str:
    return "; ".join(f"{issue}: {value}" for issue, value in deal.items())
