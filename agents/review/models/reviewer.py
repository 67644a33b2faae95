"""Model reviewer: has a model read some code in one role. Many run at once; the router paces them.

Listens  review.pass_assigned.v1
Emits    review.findings.v1
Effects  calls of models, under the review's limit on money; reads the bundle from the object store
Without an LLM  an answer without hits that says why no model gave one
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import anyio.to_thread

from agents.review.analysers.quote import without_secrets
from agents.review.calibration import calibration
from agents.review.cwe import HOLD_SECRETS, family_of
from agents.review.languages import language_of
from agents.review.models.claims import Checked, Claims, check_claims
from agents.review.models.evidence import WAIT_S_MAX, Evidence
from agents.review.models.passages import Passages
from agents.review.models.passes import OUTPUT_TOKENS_MAX
from agents.review.models.patience import Health, Patient
from agents.review.models.planning import READER
from agents.review.models.prompt import review_messages
from agents.review.models.roles import ModelRole, model_roles
from agents.review.models.units import shown
from agents.review.sources import Sources
from bus import Bus, Envelope, PermanentError, Subscription
from bus.complete import Answered, Complete
from bus.envelope import parse_time
from schemas.llm import CompletionRequest, Privacy, Purpose, Tier
from schemas.review import CodePart, Hit, Models, ReviewFindings, ReviewPassAssigned

DURABLE: Final = READER
CONCURRENCY: Final = 128
"""Passes that one process has open: the router decides how many calls are out."""
PASS_S_MAX: Final = 600.0
EVIDENCE_SHARE: Final = 0.3
"""Of the time for a pass, at most, goes into waiting for what analysers say."""
SCHEMA_NAME: Final = "findings"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReviewer:
    bus: Bus
    complete: Complete
    sources: Sources
    evidence: Evidence
    passages: Passages
    roles: Mapping[str, ModelRole] = field(default_factory=model_roles)
    concurrency: int = CONCURRENCY
    health: Health = field(default_factory=Health)

    def subscription(self) -> Subscription:
        return Subscription(
            durable=DURABLE,
            listens=(ReviewPassAssigned,),
            handle=self.handle,
            concurrency=self.concurrency,
            max_ack_pending=4 * CONCURRENCY,
        )

    async def handle(self, event: ReviewPassAssigned, envelope: Envelope) -> ReviewFindings:
        """Show, ask, check.

        Raises:
            PermanentError: there is no such role, or the sources are gone.
        """
        role = self.roles.get(event.role)
        if role is None:
            raise PermanentError(f"no role {event.role!r} for models: there are {', '.join(self.roles)}")
        started = time.monotonic()
        deadline_s = min(
            parse_time(event.deadline) if event.deadline else time.time() + PASS_S_MAX,
            time.time() + PASS_S_MAX,
        )
        async with self.sources.folder(event.bundle) as folder:
            sources = await anyio.to_thread.run_sync(read_parts, folder, event.parts)
        wait_s = min(WAIT_S_MAX, EVIDENCE_SHARE * (deadline_s - time.time()))
        hits = await self.evidence.of(envelope.task_id, event.evidence, time.time() + wait_s)
        # What is a secret to us goes to no model, and what it quotes must stand in what it saw.
        sources = await anyio.to_thread.run_sync(masked, sources, hits)
        request = await self._request(event, role, sources, hits)
        ask = Patient(complete=self.complete, bus=self.bus, health=self.health)
        answered = await ask(
            request,
            into=Claims,
            rules=lambda: Claims(findings=[]),
            deadline_s=deadline_s,
            task_id=envelope.task_id,
        )
        return told(event, answered, sources, seconds=time.monotonic() - started)

    async def _request(
        self,
        event: ReviewPassAssigned,
        role: ModelRole,
        sources: Mapping[str, str],
        hits: tuple[Hit, ...],
    ) -> CompletionRequest:
        language = language_of(event.parts[0].path) if event.parts else ""
        messages = review_messages(
            shown(event.parts, sources),
            role,
            evidence=evidence_on(event.parts, hits),
            passages=await self.passages.for_role(role, language),
            dismissed=event.dismissed,
        )
        return CompletionRequest(
            messages=messages,
            purpose=Purpose.CRITICAL,
            schema_name=SCHEMA_NAME,
            task_limit_nusd=event.max_cost_nusd,
            max_tokens=OUTPUT_TOKENS_MAX,
            privacy=Privacy.ANY if event.models is Models.ANY else Privacy.LOCAL_ONLY,
            tier=Tier.MEDIUM,
            prefer=event.model,
            agent=DURABLE,
        )


def told(
    event: ReviewPassAssigned, answered: Answered[Claims], sources: Mapping[str, str], *, seconds: float
) -> ReviewFindings:
    """Core: the answer to a pass: of what the model claims, that which stands."""
    completion = answered.completion
    model = completion.model if completion else ""
    rule = event.role if event.number == 1 else f"{event.role}-{event.number}"
    checked = Checked(())
    if completion:
        alone = calibration().of_models(1)
        checked = check_claims(answered.value, event.parts, sources, model=model, rule=rule, confidence=alone)
    return ReviewFindings(
        index=event.index,
        role=event.role,
        agent=f"model {model}" if model else f"no answer from {event.model or 'any model'}",
        hits=checked.hits,
        files=len({part.path for part in event.parts}),
        seconds=round(seconds, 3),
        is_pass=True,
        model=model,
        is_fallback=bool(model and event.model and model != event.model),
        no_model=answered.why_rules,
        cost_nusd=answered.cost_nusd,
        input_tokens=completion.usage.input_tokens if completion else 0,
        output_tokens=completion.usage.output_tokens if completion else 0,
        dropped=checked.dropped,
    )


def evidence_on(parts: tuple[CodePart, ...], hits: tuple[Hit, ...]) -> list[Hit]:
    """Core: the hits on this code, the worst first."""
    found = [
        hit
        for hit in dict.fromkeys(hits)
        if any(part.path == hit.path and part.first <= hit.line <= part.last for part in parts)
    ]
    return sorted(found, key=lambda hit: (hit.severity.rank, hit.path, hit.line, hit.analyser, hit.rule))


def masked(sources: Mapping[str, str], hits: Iterable[Hit]) -> dict[str, str]:
    """Core: the files without their secrets, those that rules know and those on lines that analysers name."""
    named: defaultdict[str, set[int]] = defaultdict(set)
    for hit in hits:
        if family_of(hit.cwe) in HOLD_SECRETS:
            named[hit.path].update(range(hit.line, max(hit.line, hit.end_line) + 1))
    return {path: without_secrets(text, named[path]) for path, text in sources.items()}


def read_parts(folder: Path, parts: tuple[CodePart, ...]) -> dict[str, str]:
    """The files that the parts are of."""
    return {
        path: (folder / path).read_text(encoding="utf-8", errors="replace")
        for path in dict.fromkeys(part.path for part in parts)
    }
