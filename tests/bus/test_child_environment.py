"""What child processes may see of our environment."""

from bus.child_environment import child_environment


def test_what_programs_need_is_handed_on() -> None:
    needed = {
        "PATH": "/bin",
        "HOME": "/home/me",
        "TMPDIR": "/tmp/x",
        "LANG": "C.UTF-8",
        "LC_ALL": "C",
        "LD_LIBRARY_PATH": "/opt/lib",
        "PYTHONPATH": "/src",
        "VIRTUAL_ENV": "/venv",
        "UV_CACHE_DIR": "/cache",
        "COVERAGE_PROCESS_START": "rc",
    }
    assert child_environment(needed) == needed


def test_secrets_are_not_whatever_they_are_called() -> None:
    secrets = {
        "OPENAI_API_KEY": "sk-1",
        "GITHUB_TOKEN": "x",
        "PYTHON_KEYRING_PASSWORD": "x",
        "UV_INDEX_MINE_PASSWORD": "x",
        "LD_SECRET": "x",
        "COVERALLS_REPO_TOKEN": "x",
        "GOOGLE_APPLICATION_CREDENTIALS": "/key.json",
        "UV_DEFAULT_INDEX": "https://me:x@index.example",
        "NATS_URL": "nats://u:p@h",
        "SOMETHING_ELSE": "x",
    }
    assert child_environment(secrets) == {}


def test_a_kind_of_child_may_need_more() -> None:
    environment = {"PATH": "/bin", "CUDA_VISIBLE_DEVICES": "0", "CUDA_API_KEY": "x", "OMP_THREADS": "1"}
    assert child_environment(environment, ("CUDA_",)) == {"PATH": "/bin", "CUDA_VISIBLE_DEVICES": "0"}
