"""Knowledge: documents that reviewers and other agents look things up in. Add some, search them, see what there is.

Works with no server: the documents are kept in the data folder, or on the Qdrant server that QDRANT_URL names.
Exit codes: 0 done (nothing found is fine too), 2 it could not be done.
"""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agents.knowledge.collection import Collection
    from orchestrator.knowledge.intake import Taken
    from schemas.knowledge import KnowledgeSearchReply

HELP = "add documents, and search them by words and meaning"

OPEN_S_MAX = 600.0
WORK_S_MAX = 3_600.0
ADDED_TOGETHER = 50
LEFT_OUT_SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = actions.add_parser(
        "add", parents=[common], help="add a file, or the .md, .txt and .rst files of a folder"
    )
    search = actions.add_parser("search", parents=[common], help="find what fits a question best")
    listing = actions.add_parser("list", parents=[common], help="all documents")
    rebuild = actions.add_parser(
        "rebuild", parents=[common], help="index all documents anew, say for another embedder"
    )
    delete = actions.add_parser("delete", parents=[common], help="remove a document")
    add.add_argument("path", help="a file or a folder; - reads a text from standard input (with --id)")
    add.add_argument("--id", default="", help="of the document, instead of its name; the same id replaces it")
    delete.add_argument("id")
    _add_search(search)
    for action in (add, search, listing, rebuild, delete):
        action.add_argument("--json", action="store_true", help="answer in JSON")
        action.add_argument(
            "--embedder",
            metavar="NAME",
            help="auto (minilm where it is installed), minilm, ollama/MODEL, openai/MODEL, cohere/MODEL or none;"
            " default: $KNOWLEDGE_EMBEDDER, else auto",
        )


def _add_search(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("query")
    parser.add_argument("-k", type=int, default=5, metavar="N", help="most hits (default: %(default)s)")
    parser.add_argument(
        "--min-score", type=float, default=0.0, metavar="S", help="0 to 1: leave out what fits less well"
    )
    parser.add_argument("--per-document", type=int, default=0, metavar="N", help="most hits of one document")
    for name, about in (
        ("area", "security, performance, …"),
        ("cwe", "such as CWE-89"),
        ("tag", "such as injection"),
        ("language", "such as python; documents for any language fit too"),
        ("document", "an id"),
    ):
        parser.add_argument(
            f"--{name}", action="append", default=[], metavar=name.upper(), help=f"only {about}"
        )


def run(args: argparse.Namespace) -> int:
    from agents.knowledge.embedding import EmbedderError
    from agents.knowledge.indexing import KnowledgeError
    from agents.knowledge.store import StoreError
    from orchestrator.shell import UserError

    try:
        taken = _taken(args) if args.action == "add" else None
        collection = _collection(args)
        try:
            _open(collection)
            if taken is not None:
                return _add(collection, args, taken)
            return _ACTIONS[args.action](collection, args)
        finally:
            collection.close()
    except (KnowledgeError, EmbedderError, StoreError) as error:
        raise UserError(str(error)) from error


def _collection(args: argparse.Namespace) -> "Collection":
    import os

    from orchestrator.knowledge.opening import AUTO, collection_of, options_from
    from orchestrator.shell import load_settings

    data_dir = load_settings(args).settings.bus.data_dir
    embedder = args.embedder or os.environ.get("KNOWLEDGE_EMBEDDER", "") or AUTO
    return collection_of(options_from(data_dir, os.environ, embedder=embedder))


def _open(collection: "Collection") -> None:
    import sys

    if collection.embedder is not None and collection.index() is None and sys.stderr.isatty():
        print("indexing the documents, once …", file=sys.stderr)
    collection.open(timeout_s=OPEN_S_MAX)


def _taken(args: argparse.Namespace) -> "Taken":
    """Those to be added; what is left out is said."""
    import sys
    from pathlib import Path

    from orchestrator.clean import clean
    from orchestrator.knowledge.intake import FILE_BYTES_MAX, Taken, decoded, from_text, take
    from orchestrator.shell import UserError

    if args.path == "-":
        if not args.id:
            raise UserError("a text from standard input needs --id")
        text = decoded(sys.stdin.buffer.read(FILE_BYTES_MAX + 1))
        return Taken([from_text(text, id=args.id, source="standard input", is_named=True)])
    taken = take(Path(args.path), id=args.id)
    for path, reason in taken.left_out[:LEFT_OUT_SHOWN]:
        print(f"left out {clean(path)}: {clean(reason)}", file=sys.stderr)
    if len(taken.left_out) > LEFT_OUT_SHOWN:
        print(f"and {len(taken.left_out) - LEFT_OUT_SHOWN} more", file=sys.stderr)
    if not taken.documents:
        raise UserError(
            f"nothing to add in {clean(args.path)}: files that end in .md, .markdown, .txt or .rst count"
        )
    return taken


def _add(collection: "Collection", args: argparse.Namespace, taken: "Taken") -> int:
    import sys

    from orchestrator.clean import clean
    from orchestrator.knowledge.intake import with_ids

    known = {one.document.id: one.document.source for one in collection.entries()}
    documents = with_ids(taken, known)
    replies = []
    for first in range(0, len(documents), ADDED_TOGETHER):
        replies += collection.add(documents[first : first + ADDED_TOGETHER], timeout_s=WORK_S_MAX)
    if args.json:
        _print_json(replies)
        return 0
    for reply in replies:
        size = f" ({reply.chunks} chunk{'s' if reply.chunks != 1 else ''})" if reply.chunks else ""
        print(f"{reply.outcome:<9}  {clean(reply.document_id)}{size}")
    if replies[0].note:
        print(clean(replies[0].note), file=sys.stderr)
    return 0


def _search(collection: "Collection", args: argparse.Namespace) -> int:
    import msgspec

    from orchestrator.shell import UserError
    from schemas.knowledge import KnowledgeSearchRequest

    asked = {
        "query": args.query,
        "k": args.k,
        "score_min": args.min_score,
        "per_document_max": args.per_document,
        "only": {
            "areas": [one.lower() for one in args.area],
            "cwes": [one.upper() for one in args.cwe],
            "tags": [one.lower() for one in args.tag],
            "languages": [one.lower() for one in args.language],
            "documents": args.document,
        },
    }
    try:
        request = msgspec.convert(asked, KnowledgeSearchRequest)
    except msgspec.ValidationError as error:
        raise UserError(f"{_refused(str(error))}: see `labverse knowledge search --help`") from None
    reply = collection.search(request)
    if args.json:
        _print_json(reply)
    else:
        _print_hits(reply)
    return 0


def _refused(error: str) -> str:
    """Which option is out of bounds, and which bounds these are, for people."""
    from schemas.knowledge import HITS_MAX, LABEL_CHARS_MAX, LABELS_MAX, QUERY_CHARS_MAX

    labels = f"takes up to {LABELS_MAX} values of 1 to {LABEL_CHARS_MAX} characters"
    bounds = {
        "$.query": f"a query has at most {QUERY_CHARS_MAX:,} characters",
        "$.k": f"-k must be 1 to {HITS_MAX}",
        "$.score_min": "--min-score must be 0 to 1",
        "$.per_document_max": f"--per-document must be 0 (any number) to {HITS_MAX}",
        "$.only.areas": f"--area {labels}",
        "$.only.cwes": f"--cwe {labels}",
        "$.only.tags": f"--tag {labels}",
        "$.only.languages": f"--language {labels}",
        "$.only.documents": f"--document takes up to {LABELS_MAX} ids",
    }
    _, _, place = error.rpartition("`$")
    return bounds.get(f"${place.rstrip('`').partition('[')[0]}", error)


def _list(collection: "Collection", args: argparse.Namespace) -> int:
    from orchestrator.clean import clean

    rows = [
        {"id": one.document.id, "title": one.document.title, "area": one.document.area, "chunks": one.chunks}
        | {"cwes": one.document.cwes, "tags": one.document.tags, "languages": one.document.languages}
        | {"chars": len(one.document.text), "source": one.document.source, "builtin": one.is_builtin}
        for one in collection.entries()
    ]
    index = collection.index()
    embedder = index.embedder if index else ""
    if args.json:
        _print_json({"embedder": embedder, "documents": rows})
        return 0
    for row in rows:
        mark = " " if row["builtin"] else "+"
        shown, area, title = (clean(str(row[name])) for name in ("id", "area", "title"))
        print(f"{mark} {shown:<44} {row['chunks']:>4}  {area:<14} {title}")
    own = sum(not row["builtin"] for row in rows)
    vectors = f"vectors of {embedder}" if embedder else "by words alone, without vectors"
    print(f"{len(rows)} documents, {own} of them added (+); {vectors}")
    return 0


def _rebuild(collection: "Collection", args: argparse.Namespace) -> int:
    done = collection.rebuild(timeout_s=WORK_S_MAX)
    if args.json:
        _print_json(
            {"documents": done.documents, "chunks": done.chunks, "embedder": done.embedder, "note": done.note}
        )
        return 0
    how = f"with vectors of {done.embedder}" if done.embedder else done.note
    print(f"{done.documents} documents, {done.chunks} chunks, {how}")
    return 0


def _delete(collection: "Collection", args: argparse.Namespace) -> int:
    from orchestrator.clean import clean

    collection.delete(args.id, timeout_s=WORK_S_MAX)
    if args.json:
        _print_json({"deleted": args.id})
    else:
        print(f"deleted {clean(args.id)}")
    return 0


_ACTIONS = {"search": _search, "list": _list, "rebuild": _rebuild, "delete": _delete}


def _print_hits(reply: "KnowledgeSearchReply") -> None:
    import sys

    from orchestrator.knowledge.view import lines

    for line in lines(reply):
        print(line)
    if reply.note:
        print(reply.note, file=sys.stderr)


def _print_json(answer: object) -> None:
    import msgspec

    print(msgspec.json.format(msgspec.json.encode(answer)).decode())
