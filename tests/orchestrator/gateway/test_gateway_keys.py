"""API keys: the file, who gets in with which, and the command that keeps them."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from gatewaylab import add_key, gateway_lab, revoke_key
from labverse import Labverse

from bus import Bus
from config.errors import ConfigError
from config.settings import GatewaySettings
from orchestrator.gateway.endpoint import Scope
from orchestrator.gateway.keys import Keys, changing_keys, hash_of, keys_path, parse_keys, read_keys

APPROVALS = "/api/v1/approvals"
TASKS = "/api/v1/tasks"


async def test_without_any_key_everything_but_health_says_how_to_make_one(bus: Bus, tmp_path: Path) -> None:
    async with gateway_lab(bus, tmp_path, has_key=False) as lab:
        for path in (APPROVALS, TASKS, "/openapi.json", "/nothing"):
            answer = await lab.get(path, headers={"X-API-Key": "lvk_guess"})
            assert (answer.status, answer.code) == (401, "no_key")
            assert "labverse key new NAME" in answer.message
        assert (await lab.get("/health")).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer lvk_wrong"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic bHZrOng="},
        {"Authorization": "Bearer lvk_\xe9\xff"},
        {"X-API-Key": "x" * 5_000},
        {"X-API-Key": ""},
    ],
)
async def test_a_wrong_key_is_401_and_not_repeated(bus: Bus, tmp_path: Path, headers: dict[str, str]) -> None:
    async with gateway_lab(bus, tmp_path) as lab:
        answer = await lab.get(APPROVALS, key="", headers=headers)
        assert (answer.status, answer.code) == (401, "no_key")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert "lvk_wrong" not in answer.body.decode()


async def test_a_key_comes_in_either_header(bus: Bus, tmp_path: Path) -> None:
    async with gateway_lab(bus, tmp_path) as lab:
        for headers in ({"Authorization": f"bearer  {lab.key}"}, {"X-API-Key": lab.key}):
            assert (await lab.get(APPROVALS, key="", headers=headers)).status == 200


async def test_each_scope_includes_the_smaller_ones(bus: Bus, tmp_path: Path) -> None:
    async with gateway_lab(bus, tmp_path) as lab:
        expected = {"read": (200, 403, 403), "approve": (200, 503, 403), "all": (200, 503, 422)}
        word = {"action": "veto", "digest": "0" * 64}
        for scope, statuses in expected.items():
            key = lab.add_key(f"k-{scope}", scope)
            answers = (
                await lab.get(APPROVALS, key=key),
                await lab.post(f"{APPROVALS}/a1", word, key=key),
                await lab.post(TASKS, {"type": "x"}, key=key),
            )
            assert tuple(answer.status for answer in answers) == statuses, scope
        small = await lab.post(TASKS, {"type": "x"}, key=lab.add_key("small", "read"))
        assert "key small has scope read, and this needs all" in small.message


async def test_a_key_that_is_revoked_while_the_gateway_runs_lets_nobody_in_any_more(
    bus: Bus, tmp_path: Path
) -> None:
    async with gateway_lab(bus, tmp_path) as lab:
        key = lab.add_key("soon")
        assert (await lab.get(APPROVALS, key=key)).status == 200
        revoke_key(lab.keys_file, "soon")
        assert (await lab.get(APPROVALS, key=key)).status == 401
        assert (await lab.get(APPROVALS)).status == 200


async def test_a_keys_file_that_breaks_while_the_gateway_runs_lets_nobody_in_until_it_is_mended(
    bus: Bus, tmp_path: Path
) -> None:
    async with gateway_lab(bus, tmp_path) as lab:
        good = lab.keys_file.read_text()
        lab.keys_file.write_text("keys: [\n")
        answer = await lab.get(APPROVALS)
        assert (answer.status, answer.code) == (503, "keys_unreadable")
        assert str(lab.keys_file) not in answer.body.decode()
        assert (await lab.get("/health")).status == 200
        lab.keys_file.write_text(good)
        assert (await lab.get(APPROVALS)).status == 200


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("keys:\n  - name: a\n    sha256: lvk_oops\n    scope: read\n", "line 3: `sha256`: expected 64 hex"),
        ("keys:\n  - name: a b\n    sha256: 'x'\n", "line 2: `name`: expected 1 to 32 characters"),
        (
            f"keys:\n  - name: a\n    sha256: '{'0' * 64}'\n    scope: root\n",
            "line 4: `scope`: expected read, ",
        ),
        (f"keys:\n  - name: a\n    sha256: '{'0' * 64}'\n", "line 2: `0`: `scope:` is missing"),
        ("keys:\n  - name: a\n    key: lvk_oops\n", "unknown field `key`"),
        ("keys: 5\n", "line 1: `keys`: Expected a list"),
        ("keys:\n  - {\n", "not valid YAML"),
        (
            "keys:\n" + f"  - {{name: a, sha256: '{'0' * 64}', scope: all}}\n" * 2,
            "`a` stands twice in .*: line 2 and line 3",
        ),
    ],
)
def test_a_broken_file_is_one_line_with_its_number_and_no_value(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        parse_keys(Path("keys.yaml"), text)
    assert "\n" not in str(caught.value)
    assert "oops" not in str(caught.value)


def test_the_file_is_the_owners_alone_and_holds_no_key(tmp_path: Path) -> None:
    path = tmp_path / "new" / "api_keys.yaml"
    key = add_key(path, "ops", "approve")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key not in path.read_text()
    (row,) = read_keys(path)
    assert (row.name, row.scope, row.sha256) == ("ops", Scope.APPROVE, hash_of(key))
    assert row.created_at.endswith("Z")


def test_a_file_that_others_may_write_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "api_keys.yaml"
    add_key(path, "ops")
    path.chmod(0o666)
    with pytest.raises(ConfigError, match=r"others may write .*`chmod 600 "):
        read_keys(path)


def test_keys_made_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    path = tmp_path / "api_keys.yaml"
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda i: add_key(path, f"k{i}"), range(16)))
    assert {row.sha256 for row in read_keys(path)} == {hash_of(key) for key in made}
    assert sorted(file.name for file in tmp_path.iterdir()) == [".api_keys.yaml.lock", "api_keys.yaml"]


def test_a_failed_change_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "api_keys.yaml"
    add_key(path, "ops")
    before = path.read_bytes()
    with pytest.raises(RuntimeError, match="half way"):
        _fail(path)
    assert path.read_bytes() == before


def _fail(path: Path) -> None:
    with changing_keys(path) as rows:
        rows.clear()
        raise RuntimeError("half way")


def test_keys_in_force_follow_the_file(tmp_path: Path) -> None:
    keys = Keys(path=tmp_path / "api_keys.yaml")
    assert keys.rows() == ()
    key = add_key(keys.path, "ops", "read")
    found = keys.find(key)
    assert found is not None
    assert (found.identity, found.scope) == ("key:ops", Scope.READ)
    assert keys.find(key + "x") is None
    assert keys.find("x" * 1_000_000) is None
    keys.path.unlink()
    assert keys.find(key) is None


def test_the_file_is_looked_for_in_the_configuration_folder(tmp_path: Path) -> None:
    settings = GatewaySettings()
    assert keys_path(settings, {"XDG_CONFIG_HOME": "/c"}) == Path("/c/labverse/api_keys.yaml")
    assert keys_path(settings, {"HOME": "/h"}) == Path("/h/.config/labverse/api_keys.yaml")
    own = tmp_path / "k.yaml"
    assert keys_path(GatewaySettings(keys_file=own), {"HOME": "/h"}) == own


@pytest.fixture
def labverse(tmp_path: Path) -> Labverse:
    return Labverse(tmp_path / "data", XDG_CONFIG_HOME=str(tmp_path / "config"))


def test_a_key_is_made_shown_once_listed_and_revoked(tmp_path: Path, labverse: Labverse) -> None:
    made = labverse.run("key", "new", "ops", "--scope", "approve", cwd=tmp_path)
    key = made.stdout.strip()
    assert (made.returncode, key[:4]) == (0, "lvk_")
    assert key not in made.stderr
    assert "shown this once" in made.stderr
    path = tmp_path / "config" / "labverse" / "api_keys.yaml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    listed = labverse.run("key", "list", cwd=tmp_path)
    assert listed.stdout.split()[:2] == ["ops", "approve"]
    assert key not in listed.stdout
    assert hash_of(key) not in listed.stdout
    again = labverse.run("key", "new", "ops", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (2, "")
    assert "there is a key ops already" in again.stderr
    assert labverse.run("key", "revoke", "ops", cwd=tmp_path).returncode == 0
    assert "there is no key 'ops'" in labverse.run("key", "revoke", "ops", cwd=tmp_path).stderr
    assert read_keys(path) == ()


def test_a_name_that_cannot_be_is_refused_in_one_line(tmp_path: Path, labverse: Labverse) -> None:
    for name in ("a b", "x" * 33, "\u00e9\x1b[31m"):
        refused = labverse.run("key", "new", name, cwd=tmp_path)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "use 1 to 32 characters" in refused.stderr
        assert refused.stderr.count("\n") == 1
        assert "\x1b" not in refused.stderr
    assert not (tmp_path / "config" / "labverse" / "api_keys.yaml").exists()


def test_the_command_names_the_line_of_a_broken_file(tmp_path: Path, labverse: Labverse) -> None:
    path = tmp_path / "k.yaml"
    path.write_text("keys:\n  - name: 5\n")
    refused = labverse.run("key", "list", cwd=tmp_path, env={"LABVERSE_GATEWAY__KEYS_FILE": str(path)})
    assert refused.returncode == 2
    assert "k.yaml line 2" in refused.stderr
    assert refused.stderr.count("\n") == 1
