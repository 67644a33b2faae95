"""Bundles: what is packed comes out again, and nothing else does."""

import hashlib
import io
import os
import tempfile
import zipfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.review import bundle as bundle_module
from agents.review.bundle import BUNDLE_PATH_BYTES_MAX, BundleError, pack, unpack
from agents.review.gathering import Collected
from schemas.review import Bundle


def collected(path: str, data: bytes = b"x = 1\n") -> Collected:
    return Collected(path=path, data=data, lines=data.count(b"\n"))


def archive(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return buffer.getvalue()


def bundle_of(data: bytes, *paths: str) -> Bundle:
    return Bundle(object_name="src-x", sha256=hashlib.sha256(data).hexdigest(), paths=paths)


ODD = [
    "with space.py",
    "new\nline.py",
    "日本/ü.py",
    "'\"`$(x)|;.py",
    "..hidden/..x",
    "-rf",
    "a\\b.py",
    "n" * 255,
]


def test_what_is_packed_comes_out_again(tmp_path: Path) -> None:
    files = [collected(path, f"{path}\n".encode()) for path in [*ODD, "a/b/c.py", "empty.py"]]
    files[-1] = collected("empty.py", b"")
    ((bundle, data),) = pack(files)
    unpack(data, bundle, bundle.paths, tmp_path / "new" / "folder")
    found = {file.path: (tmp_path / "new" / "folder" / file.path).read_bytes() for file in files}
    assert found == {file.path: file.data for file in files}
    assert bundle.paths == tuple(sorted(found))
    assert bundle.object_name == f"src-{bundle.sha256[:32]}"
    assert (bundle.lines, bundle.source_bytes) == (
        sum(f.lines for f in files),
        sum(len(f.data) for f in files),
    )
    assert bundle.sizes == tuple(len(found[path]) for path in bundle.paths)


def test_only_the_wanted_files_are_unpacked(tmp_path: Path) -> None:
    ((bundle, data),) = pack([collected("a.py"), collected("b.py"), collected("c.py")])
    unpack(data, bundle, ["b.py", "b.py"], tmp_path)
    assert os.listdir(tmp_path) == ["b.py"]


def test_the_same_files_give_the_same_object_in_any_order() -> None:
    files = [collected(path) for path in ODD]
    assert list(pack(files)) == list(pack(files[::-1]))


def test_no_files_give_no_bundle() -> None:
    assert list(pack([])) == []


def test_bundles_are_cut_by_bytes_and_by_number() -> None:
    files = [collected(f"{index:03}.py", b"x" * 10) for index in range(25)]
    assert [len(bundle.paths) for bundle, _ in pack(files, bundle_bytes_max=100)] == [10, 10, 5]
    assert [len(bundle.paths) for bundle, _ in pack(files, bundle_files_max=12)] == [12, 12, 1]
    large = [collected("a.py", b"x" * 10), collected("b.py", b"x" * 500), collected("c.py", b"x" * 10)]
    assert [bundle.paths for bundle, _ in pack(large, bundle_bytes_max=100)] == [
        ("a.py",),
        ("b.py",),
        ("c.py",),
    ]


def test_very_many_files_give_larger_bundles_not_more() -> None:
    files = [collected(f"{index:05}.py", b"") for index in range(20_000)]
    assert len(list(pack(files))) == 50


def test_the_paths_of_a_bundle_fit_into_an_event() -> None:
    name = "n\n" * 100
    files = [collected(f"{index:03}/{name}/{name}.py", b"") for index in range(600)]
    for bundle, _ in pack(files, bundle_files_max=600):
        assert len(msgspec.json.encode(bundle.paths)) <= BUNDLE_PATH_BYTES_MAX + 100


@pytest.mark.parametrize("path", ["../a.py", "/a.py", "a/../b.py", "a\0.py", "", "\udce9.py", "n" * 256])
def test_unsafe_paths_are_neither_packed_nor_unpacked(tmp_path: Path, path: str) -> None:
    with pytest.raises(BundleError):
        list(pack([collected(path)]))
    data = archive(f0=b"x")
    with pytest.raises(BundleError):
        unpack(data, bundle_of(data, path), [path], tmp_path / "inner")
    assert not (tmp_path / "inner").exists()
    assert os.listdir(tmp_path) == []


def test_a_path_given_twice_is_refused() -> None:
    with pytest.raises(BundleError, match=r"a\.py is given twice"):
        list(pack([collected("a.py"), collected("a.py")]))


def test_a_file_too_large_for_a_bundle_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_module, "UNPACKED_BYTES_MAX", 400)
    with pytest.raises(BundleError, match="101 bytes"):
        list(pack([collected("a.py", b"x" * 101)]))


def test_bytes_with_another_digest_are_refused(tmp_path: Path) -> None:
    ((bundle, data),) = pack([collected("a.py")])
    with pytest.raises(BundleError, match="sha256"):
        unpack(data + b"x", bundle, bundle.paths, tmp_path)


def test_a_path_that_is_not_in_the_bundle_is_refused(tmp_path: Path) -> None:
    ((bundle, data),) = pack([collected("a.py")])
    with pytest.raises(BundleError, match=r"b\.py is not in"):
        unpack(data, bundle, ["b.py"], tmp_path)


def test_a_member_that_is_missing_is_told(tmp_path: Path) -> None:
    data = archive(f0=b"x")
    with pytest.raises(BundleError, match=r"f1 \(b\.py\) is missing"):
        unpack(data, bundle_of(data, "a.py", "b.py"), ["b.py"], tmp_path)


def test_names_inside_the_archive_count_for_nothing(tmp_path: Path) -> None:
    data = archive(**{"../evil.py": b"evil", "/etc/evil": b"evil", "f0": b"good"})
    unpack(data, bundle_of(data, "a.py"), ["a.py"], tmp_path / "inner")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a.py"]


def test_an_archive_that_swells_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_module, "UNPACKED_BYTES_MAX", 1_000_000)
    data = archive(f0=b"0" * 600_000, f1=b"0" * 600_000)
    assert len(data) < 3_000
    with pytest.raises(BundleError, match="over 1,000,000 bytes"):
        unpack(data, bundle_of(data, "a.py", "b.py"), ["a.py", "b.py"], tmp_path)


def test_an_archive_that_declares_less_than_it_holds_is_refused(tmp_path: Path) -> None:
    data = archive(f0=b"0" * 100_000)
    lying = data.replace((100_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    assert lying != data
    with pytest.raises(BundleError):
        unpack(lying, bundle_of(lying, "a.py"), ["a.py"], tmp_path)


def test_an_object_over_the_limit_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle_module, "OBJECT_BYTES_MAX", 10)
    data = archive(f0=b"x")
    with pytest.raises(BundleError, match="over the limit of 10"):
        unpack(data, bundle_of(data, "a.py"), ["a.py"], tmp_path)


def test_ways_of_compression_that_bundles_never_use_are_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as file:
        file.writestr("f0", b"x")
    data = buffer.getvalue()
    with pytest.raises(BundleError, match="compressed in a way"):
        unpack(data, bundle_of(data, "a.py"), ["a.py"], tmp_path)


def test_a_file_where_another_needs_a_folder_is_refused(tmp_path: Path) -> None:
    data = archive(f0=b"x", f1=b"y")
    with pytest.raises(BundleError, match="can't unpack"):
        unpack(data, bundle_of(data, "a", "a/b.py"), ["a", "a/b.py"], tmp_path)


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    data = archive(f0=b"evil")
    (tmp_path / "target").write_bytes(b"good")
    (tmp_path / "a.py").symlink_to("target")
    with pytest.raises(BundleError, match="file exists"):
        unpack(data, bundle_of(data, "a.py"), ["a.py"], tmp_path)
    assert (tmp_path / "target").read_bytes() == b"good"


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_in_one_line(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.raises(BundleError):
        unpack(data, bundle_of(data, "a.py"), ["a.py"], Path(folder))


@settings(max_examples=200)
@given(position=st.integers(0, 10_000), value=st.integers(0, 255))
def test_a_damaged_archive_is_refused_or_comes_out_whole(position: int, value: int) -> None:
    data = bytearray(archive(f0=b"some text, some text, some text", f1=b"other"))
    data[position % len(data)] = value
    with tempfile.TemporaryDirectory() as folder:
        try:
            unpack(bytes(data), bundle_of(bytes(data), "a.py"), ["a.py"], Path(folder))
        except BundleError:
            return
        assert (Path(folder) / "a.py").read_bytes() == b"some text, some text, some text"
