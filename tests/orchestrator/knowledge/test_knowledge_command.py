"""`labverse knowledge` as people type it, in this process, over real files."""

import argparse
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from agents.knowledge import builtin
from agents.knowledge.indexing import KnowledgeError
from orchestrator.commands import knowledge
from orchestrator.knowledge import intake
from orchestrator.knowledge.intake import take, with_ids
from orchestrator.knowledge.opening import embedder_of, options_from
from orchestrator.shell import run_command


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def answer(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Done]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command with a data folder of its own."""
    for name in ("QDRANT_URL", "KNOWLEDGE_EMBEDDER", "OPENAI_API_KEY", "LABVERSE_LOG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Done:
        common = argparse.ArgumentParser(add_help=False)
        parser = argparse.ArgumentParser()
        parser.set_defaults(run=knowledge.run, data_dir=str(tmp_path / "data"), config=None, verbose=0)
        knowledge.add_arguments(parser, common)
        code = run_command(parser.parse_args(words))
        return Done(code, *capsys.readouterr())

    return run


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    (folder / "deep").mkdir(parents=True)
    (folder / "one.md").write_text(
        "---\ntags: [stones]\narea: Minerals\n---\n# Heliotrope\n\nA green stone.\n"
    )
    (folder / "deep" / "two.txt").write_text("Amber is no stone, but resin.\n")
    (folder / "three.py").write_text("print('not a document')\n")
    return folder


def test_a_folder_is_added_and_found_with_offsets_and_scores(command: Command, notes: Path) -> None:
    added = command("add", str(notes), "--embedder", "none")
    assert added.code == 0
    assert [line.split()[0] for line in added.out.splitlines()] == ["added", "added"]
    assert "by words alone: there is no embedder" in added.err
    found = command("search", "green stones", "--embedder", "none", "--json").answer
    hit = found["hits"][0]
    assert hit["document_id"] == "one.md"
    assert hit["text"] == "# Heliotrope\n\nA green stone.\n"[hit["start"] : hit["end"]]
    assert hit["scores"]["fused"] == 1.0
    assert hit["scores"]["bm25_rank"] == 1
    assert found["methods"] == ["bm25"]
    shown = command("search", "green stones", "--embedder", "none")
    assert "Heliotrope" in shown.out
    assert "words " in shown.out
    assert "by words alone" in shown.err


def test_filters_and_bounds_narrow_a_search(command: Command, notes: Path) -> None:
    command("add", str(notes), "--embedder", "none")

    def ids(*words: str) -> list[str]:
        found = command("search", "stone resin", "--embedder", "none", "--json", *words).answer
        return [
            Path(hit["document_id"]).name
            for hit in found["hits"]
            if hit["document_id"].endswith((".md", ".txt"))
        ]

    assert set(ids("-k", "20")) == {"one.md", "two.txt"}
    assert ids("--tag", "Stones") == ["one.md"]
    assert ids("--area", "minerals") == ["one.md"]
    assert ids("--area", "nothing") == []
    assert ids("-k", "1", "--document", "deep/two.txt") == ["two.txt"]


def test_the_same_file_replaces_itself_and_can_be_deleted(command: Command, notes: Path) -> None:
    file = notes / "one.md"
    assert command("add", str(file), "--embedder", "none").out.startswith("added")
    assert command("add", str(file), "--embedder", "none").out.startswith("unchanged")
    file.write_text("# Vermilion\n\nA red pigment.\n")
    assert command("add", str(file), "--embedder", "none").out.startswith("replaced")
    assert "Vermilion" in command("search", "vermilion", "--embedder", "none").out
    assert command("delete", "one.md", "--embedder", "none").out == "deleted one.md\n"
    gone = command("search", "vermilion", "--embedder", "none", "--json").answer
    assert gone["hits"] == []
    again = command("delete", "one.md", "--embedder", "none")
    assert (again.code, again.err.count("\n")) == (2, 1)
    assert "labverse knowledge list" in again.err


def test_a_text_from_standard_input_gets_the_id_given(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"---\nid: other\n---\nAmber")))
    assert command("add", "-", "--id", "mine", "--embedder", "none").out == "added      mine (1 chunk)\n"
    assert "standard input needs --id" in command("add", "-").err


def test_the_list_shows_what_is_built_in_and_what_was_added(command: Command, notes: Path) -> None:
    command("add", str(notes), "--embedder", "none")
    listed = command("list", "--embedder", "none", "--json").answer
    count = len(builtin.builtin_documents())
    assert [row["builtin"] for row in listed["documents"]].count(True) == count
    assert listed["embedder"] == ""
    text = command("list", "--embedder", "none").out
    assert f"{count + 2} documents, 2 of them added (+); by words alone, without vectors" in text


def test_another_embedder_after_the_first_needs_a_rebuild(command: Command, notes: Path) -> None:
    command("add", str(notes), "--embedder", "none")
    mixed = command("search", "amber", "--embedder", "minilm")
    assert mixed.code == 0
    assert "labverse knowledge rebuild" in mixed.err


def test_a_search_for_nothing_sensible_is_refused_in_one_line(command: Command) -> None:
    for words, said in (
        (("search", "  "), "the query is empty"),
        (("search", "x", "-k", "0"), "-k must be 1 to 100"),
        (("search", "x", "--min-score", "2"), "--min-score must be 0 to 1"),
        (("search", "x" * 5_000), "a query has at most 4,000 characters"),
        (("search", "x", "--per-document", "-1"), "--per-document must be 0 (any number) to 100"),
        (("search", "x", "--tag", ""), "--tag takes up to 64 values of 1 to 100 characters"),
        (("search", "x", "--document", "i" * 201), "--document takes up to 64 ids"),
        (("search", "x", "--embedder", "magic"), "no embedder 'magic'"),
        (("add", "missing"), "missing: there is no such file"),
    ):
        done = command(*words, *(() if "--embedder" in words else ("--embedder", "none")))
        assert (done.code, done.out) == (2, "")
        assert said in done.err
        assert done.err.count("\n") == 1


class TestIntake:
    def test_what_is_no_document_is_left_out_with_its_reason(self, notes: Path) -> None:
        (notes / "binary.md").write_bytes(b"\xff\xfe\x00")
        (notes / "empty.md").write_text(" \n")
        (notes / "odd.md").write_text("---\ntitle: [a\n---\ntext")
        (notes / ".hidden").mkdir()
        (notes / ".hidden" / "x.md").write_text("hidden")
        (notes / "link.md").symlink_to(notes / "one.md")
        taken = take(notes)
        assert [Path(one.id).name for one in taken.documents] == ["one.md", "two.txt"]
        assert {Path(path).name: reason.split(":")[0] for path, reason in taken.left_out} == {
            "binary.md": "it is no text in UTF-8 (byte 0)",
            "empty.md": "it is empty",
            "odd.md": "its front matter is no YAML",
        }

    def test_too_many_files_are_refused(self, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(intake, "FILES_MAX", 1)
        with pytest.raises(KnowledgeError, match="more than 1 files"):
            take(notes)

    def test_a_file_that_is_too_large_is_refused(self, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(intake, "FILE_BYTES_MAX", 10)
        with pytest.raises(KnowledgeError, match=r"one\.md: it has more than 10 bytes"):
            take(notes / "one.md")

    def test_ids_are_paths_below_the_folder_and_a_documents_own_id_wins(self, notes: Path) -> None:
        (notes / "own.md").write_text("---\nid: mine\n---\ntext")
        assert [one.id for one in take(notes).documents] == ["one.md", "mine", "deep/two.txt"]
        assert [one.id for one in take(notes / "deep" / "two.txt").documents] == ["two.txt"]

    def test_a_name_that_another_document_has_gets_longer_and_stays(self, tmp_path: Path) -> None:
        known: dict[str, str] = {}
        for folder in ("a/docs", "b/docs", "c/docs"):
            (tmp_path / folder).mkdir(parents=True)
            (tmp_path / folder / "README.md").write_text("text")
        for _ in range(2):
            for folder in ("a/docs", "b/docs", "c/docs"):
                for one in with_ids(take(tmp_path / folder), known):
                    known[one.id] = one.source
        assert len(known) == 3
        assert {"README.md", "docs/README.md"} < set(known)
        [again] = with_ids(take(tmp_path / "b/docs/README.md"), known)
        assert again.id == "docs/README.md"

    def test_a_very_long_path_gets_a_short_id_that_stays(self, tmp_path: Path) -> None:
        top = tmp_path / "top"
        folder = top / ("x" * 120) / ("y" * 120)
        folder.mkdir(parents=True)
        (folder / "a.md").write_text("text")
        (folder / "b.md").write_text("text")
        first, second = take(top).documents
        assert first.id != second.id
        assert len(first.id) <= 200
        assert first.id == take(top).documents[0].id


class TestOptions:
    def test_addresses_and_keys_come_from_the_environment_and_are_not_shown(self, tmp_path: Path) -> None:
        env = {"QDRANT_URL": "http://u:hidden@q:6333", "QDRANT_API_KEY": "hidden", "OPENAI_API_KEY": "hidden"}
        options = options_from(tmp_path, env, embedder="openai")
        assert "hidden" not in repr(options)
        embedder = embedder_of(options)
        assert embedder is not None
        assert embedder.id == "openai/text-embedding-3-small"

    @pytest.mark.parametrize(
        ("host", "url"),
        [
            ("", "http://localhost:11434"),
            ("box", "http://box:11434"),
            ("0.0.0.0:8080", "http://127.0.0.1:8080"),
            ("https://ollama.example.org:443/", "https://ollama.example.org:443"),
        ],
    )
    def test_the_host_of_ollama_is_read_as_ollama_does(self, tmp_path: Path, host: str, url: str) -> None:
        assert options_from(tmp_path, {"OLLAMA_HOST": host}).ollama_url == url

    @pytest.mark.parametrize(
        ("env", "embedder", "said"),
        [
            ({}, "openai", "set OPENAI_API_KEY"),
            ({}, "cohere/embed-v4.0", "set COHERE_API_KEY"),
            ({"OLLAMA_HOST": "http://a b"}, "ollama", "no http address"),
            ({}, "hash", "no embedder 'hash'"),
        ],
    )
    def test_what_is_missing_is_said(
        self, tmp_path: Path, env: dict[str, str], embedder: str, said: str
    ) -> None:
        with pytest.raises(KnowledgeError, match=said):
            embedder_of(options_from(tmp_path, env, embedder=embedder))

    def test_no_paid_embedder_is_taken_unasked(self, tmp_path: Path) -> None:
        env = {"OPENAI_API_KEY": "sk", "COHERE_API_KEY": "co"}
        embedder = embedder_of(options_from(tmp_path, env))
        assert embedder is None or embedder.id.startswith("minilm/")
        assert embedder_of(options_from(tmp_path, env, embedder="none")) is None
