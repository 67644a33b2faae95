"""Ask a model, routed under a latency and a money limit; the answer goes to stdout, what it took to stderr.

A running `labverse up` answers; without one this command routes the call itself. Exit codes: 0 answered, 2 not.
"""

import argparse
import sys
from contextlib import AsyncExitStack, aclosing
from typing import TYPE_CHECKING, Any

from orchestrator.local_flag import add_local_model, own_model

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from agents.router.router import Router
    from bus import Bus
    from config.settings import Settings
    from orchestrator.asking import Asking
    from schemas.llm import CompletionPiece, CompletionReply, CompletionRequest, Refusal

HELP = "ask a model, by the cheapest way that is quick enough"

PROMPT_CHARS_MAX = 4_000_000
SCHEMA_BYTES_MAX = 256 * 1024
IMAGE_BYTES_MAX = 8 * 1024 * 1024
IMAGES_MAX = 16
WIDTH_IN_PIPES = 160


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("prompt", help="the question; - reads it from stdin")
    parser.add_argument("--system", default="", metavar="TEXT", help="how the model is to behave")
    parser.add_argument("--stream", action="store_true", help="print the answer as it comes")
    parser.add_argument("--schema", metavar="FILE", help="JSON Schema that the answer must satisfy")
    parser.add_argument("--image", action="append", default=[], metavar="FILE", help="show it this image too")
    parser.add_argument("--local-only", action="store_true", help="no word leaves this network")
    parser.add_argument("--max-cost", type=float, metavar="USD", help="most that the call may cost")
    parser.add_argument("--deadline", type=float, metavar="S", help="seconds to answer in")
    parser.add_argument("--max-tokens", type=int, metavar="N", help="longest answer")
    parser.add_argument("--purpose", choices=("critical", "default", "creative"), default="default")
    parser.add_argument(
        "--tier", choices=("small", "medium", "large"), default="small", help="at least so good"
    )
    parser.add_argument("--model", default="", metavar="PROVIDER/MODEL", help="this one alone")
    parser.add_argument("--tenant", default="", metavar="NAME", help="who pays")
    parser.add_argument("--task", default="", metavar="ID", help="the task that pays")
    parser.add_argument("--no-cache", action="store_true", help="a new answer, even if there is one already")
    parser.add_argument("--explain", action="store_true", help="show how it was decided, and what came of it")
    parser.add_argument(
        "--json", action="store_true", help="answer in JSON, with cost, usage and explanation"
    )
    add_local_model(parser)


async def run(args: argparse.Namespace) -> int:
    import time

    from orchestrator.asking import Asking
    from orchestrator.shell import UserError, bus_for, load_settings, stop_signals, unless

    loaded = load_settings(args)
    request = _request(args)
    deadline_s = args.deadline if args.deadline is not None else loaded.settings.llm.deadline_s
    if not 0 < deadline_s <= 3600:
        raise UserError(f"--deadline must be more than 0 and at most 3600 seconds, not {deadline_s:g}")
    async with (
        stop_signals() as stop,
        bus_for(loaded, role="ask", source="labverse/ask") as bus,
        AsyncExitStack() as stack,
    ):
        until_s = time.time() + deadline_s
        local = own_model(args)
        asking = Asking(
            bus=bus,
            request=request,
            deadline_s=until_s,
            own=lambda again: _own_pieces(stack, bus, loaded.settings, again, args, until_s),
            task_id=args.task,
            is_stream=args.stream,
            only_own=bool(local),
        )
        reply = await unless(stop, _print_as_it_comes(asking.pieces(), args))
    return _finish(reply, args, asking)


async def _own_pieces(
    stack: AsyncExitStack,
    bus: "Bus",
    settings: "Settings",
    request: "CompletionRequest",
    args: argparse.Namespace,
    deadline_s: float,
) -> "AsyncGenerator[CompletionPiece]":
    """The answer by a router of this command's own."""
    from schemas.llm import CompletionPiece

    router = await _own_router(stack, bus, settings, own_model(args))
    if args.stream:
        async with aclosing(router.stream(request, deadline_s=deadline_s, task_id=args.task)) as pieces:
            async for piece in pieces:
                yield piece
    else:
        reply = await router.complete(request, deadline_s=deadline_s, task_id=args.task)
        yield CompletionPiece(reply=reply)


async def _own_router(
    stack: AsyncExitStack, bus: "Bus", settings: "Settings", local: "Path | bool"
) -> "Router":
    from orchestrator.chores import end
    from orchestrator.routing import routing, start_cost_guard

    guard = start_cost_guard(bus, settings)
    stack.push_async_callback(end, (guard,))
    return await stack.enter_async_context(routing(bus, settings, own_model=local, serve=False))


async def _print_as_it_comes(
    pieces: "AsyncGenerator[CompletionPiece]", args: argparse.Namespace
) -> "CompletionReply":
    from rich.console import Console

    from orchestrator.clean import clean_lines

    reply = None
    last = ""
    try:
        async with aclosing(pieces):  # who stops reading stops the model
            with Console(stderr=True).status("asking …") as status:
                async for piece in pieces:
                    if piece.text and not args.json:
                        status.stop()
                        last = clean_lines(piece.text) or last
                        print(clean_lines(piece.text), end="", flush=True)
                    reply = piece.reply or reply
    finally:
        # Whatever is said next begins a line of its own, also after Ctrl-C.
        is_whole = reply is not None and reply.completion is not None
        if not args.json and args.stream and (is_whole or (last and not last.endswith("\n"))):
            print(flush=True)
    assert reply is not None
    return reply


def _request(args: argparse.Namespace) -> "CompletionRequest":
    """What the flags ask for.

    Raises:
        UserError: something in them can't be used.
    """
    from orchestrator.shell import UserError
    from schemas.event import is_token
    from schemas.llm import TOKEN_CHARS_MAX, CompletionRequest, Message, Privacy, Purpose, TextPart, Tier

    prompt = sys.stdin.read(PROMPT_CHARS_MAX + 1) if args.prompt == "-" else args.prompt
    if not prompt.strip():
        raise UserError("there is no question: give it as an argument, or - and on stdin")
    if any(not _is_text(text) for text in (prompt, args.system)):
        raise UserError("the question is no UTF-8 text: convert it, or show a picture with --image")
    if len(prompt) > PROMPT_CHARS_MAX:
        raise UserError(f"the question has more than {PROMPT_CHARS_MAX:,} characters")
    if args.max_cost is not None and not 0 <= args.max_cost <= 1_000_000:
        raise UserError(f"--max-cost must be a number of dollars from 0 to 1,000,000, not {args.max_cost:g}")
    if args.max_tokens is not None and not 1 <= args.max_tokens <= 1_000_000:
        raise UserError(f"--max-tokens must be 1 to 1,000,000, not {args.max_tokens}")
    if args.task and not is_token(args.task):
        raise UserError(f"--task {args.task[:80]!r} is no task id: use 1 to 64 of A-Z a-z 0-9 _ -")
    if args.tenant and not is_token(args.tenant):
        raise UserError(f"--tenant {args.tenant[:80]!r} is no tenant's name: use 1 to 64 of A-Z a-z 0-9 _ -")
    if len(args.model) > TOKEN_CHARS_MAX:
        raise UserError(
            f"--model has {len(args.model)} characters, and no name has more than {TOKEN_CHARS_MAX}"
        )
    if len(args.image) > IMAGES_MAX:
        raise UserError(f"at most {IMAGES_MAX} images, not {len(args.image)}")
    images = tuple(_image(path) for path in args.image)
    content = (TextPart(text=prompt), *images) if images else prompt
    system = (Message(role="system", content=args.system),) if args.system else ()
    return CompletionRequest(
        messages=(*system, Message(role="user", content=content)),
        purpose=Purpose(args.purpose),
        schema=_schema(args.schema) if args.schema else None,
        max_cost_nusd=None if args.max_cost is None else round(args.max_cost * 1e9),
        max_tokens=args.max_tokens,
        privacy=Privacy.LOCAL_ONLY if args.local_only else Privacy.ANY,
        tier=Tier[args.tier.upper()],
        model=args.model,
        tenant=args.tenant,
        agent="ask",
        cache=not args.no_cache,
        explain=args.explain or args.json or bool(images),
    )


def _is_text(text: str) -> bool:
    """Bytes that are no UTF-8 come from the terminal and from stdin as lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _schema(path: str) -> dict[str, Any]:
    import msgspec

    from orchestrator.shell import UserError

    try:
        schema = msgspec.json.decode(_read(path, SCHEMA_BYTES_MAX))
    except msgspec.DecodeError as error:
        raise UserError(f"--schema {path} is not JSON: {error}") from None
    if not isinstance(schema, dict):
        raise UserError(f"--schema {path} holds a {type(schema).__name__}, expected an object")
    return schema


def _image(path: str) -> Any:
    import base64

    from orchestrator.shell import UserError
    from schemas.llm import ImagePart

    data = _read(path, IMAGE_BYTES_MAX)
    kinds = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"GIF8": "gif", b"RIFF": "webp"}
    kind = next((kind for magic, kind in kinds.items() if data.startswith(magic)), None)
    if kind is None:
        raise UserError(f"--image {path} is no PNG, JPEG, GIF or WebP")
    return ImagePart(url=f"data:image/{kind};base64,{base64.b64encode(data).decode()}")


def _read(path: str, bytes_max: int) -> bytes:
    from orchestrator.shell import UserError

    try:
        with open(path, "rb") as file:
            data = file.read(bytes_max + 1)
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}") from None
    if len(data) > bytes_max:
        raise UserError(f"{path} has more than {bytes_max:,} bytes")
    return data


def _finish(reply: "CompletionReply", args: argparse.Namespace, asking: "Asking") -> int:
    import msgspec

    from orchestrator.answer_view import print_explanation, print_footer
    from orchestrator.clean import clean, clean_lines

    reply = _explained(reply)
    completion, refusal = reply.completion, reply.refusal
    if args.json:
        print(msgspec.json.format(msgspec.json.encode(reply)).decode())
    else:
        if completion is not None and not args.stream:
            as_value = args.schema and completion.value is not None
            text = (
                msgspec.json.format(msgspec.json.encode(completion.value)).decode()
                if as_value
                else completion.text
            )
            print(clean_lines(text))
        for call in completion.tool_calls if completion else ():
            print(clean(f"{call.name}({call.arguments})"))
        if args.explain:
            print_explanation(reply)
        if completion is not None:
            print_footer(reply, by=asking.by)
    for note in asking.notes:
        print(f"labverse: {clean(note)}", file=sys.stderr)
    if refusal is not None:
        print(f"labverse: {refusal.kind}: {clean(refusal.message)}{_remedy(refusal, args)}", file=sys.stderr)
        return 2
    return 0


def _explained(reply: "CompletionReply") -> "CompletionReply":
    """With an explanation in any case: one that says so where no model was chosen."""
    import msgspec

    from schemas.llm import Explanation, Source

    if reply.explanation is not None:
        return reply
    is_cached = reply.completion is not None and reply.completion.source is Source.CACHE
    why = "the answer is from the cache" if is_cached else "the question came to no decision"
    return msgspec.structs.replace(reply, explanation=Explanation(notes=(f"{why}: no model was chosen",)))


def _remedy(refusal: "Refusal", args: argparse.Namespace) -> str:
    """What to do where the router can't know which flags were given."""
    from schemas.llm import RefusalKind

    if refusal.kind is not RefusalKind.NO_MODEL:
        return ""
    if args.model and args.model not in refusal.message:
        return f"; nothing known is called {args.model}: `labverse providers --all` shows what is"
    if args.local_only:
        return "; --local-model serves a small one from here"
    return "; `labverse providers` shows what can be called"
