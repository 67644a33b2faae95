"""A secret is shown by nothing but `reveal`."""

import copy
import pickle

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.secret import Secret, Url, encode_hook


def test_a_secret_is_never_shown() -> None:
    secret = Secret("hunter2")
    shown = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret!r:>40}",
        f"{secret}",
        str([secret]),
        str({1: secret}),
    ]
    shown.append(msgspec.json.encode({"a": secret}, enc_hook=encode_hook).decode())
    assert not [text for text in shown if "hunter2" in text]
    assert secret.reveal() == "hunter2"


def test_a_secret_can_be_neither_pickled_nor_encoded_by_chance() -> None:
    with pytest.raises(TypeError, match="can't be pickled"):
        pickle.dumps(Secret("hunter2"))
    with pytest.raises(TypeError):
        msgspec.json.encode(Secret("hunter2"))


def test_copies_are_the_secret_itself() -> None:
    secret = Secret("hunter2")
    assert copy.deepcopy([secret])[0] is secret
    assert copy.copy(secret) is secret


def test_secrets_compare_by_value_and_kind_and_an_empty_one_is_false() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != Url("a")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert not Secret("")
    assert str(Secret("")) == ""


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("nats://user:hunter2@host", "nats://user:***@host"),
        ("nats://user:hun:ter2@host:4222", "nats://user:***@host:4222"),
        ("nats://hunter2@host", "nats://***@host"),
        ("tls://a:hunter2@h1:1,nats://b:hunter2@h2:2", "tls://a:***@h1:1,nats://b:***@h2:2"),
        ("nats://a:hunter2@h1, h2", "nats://a:***@h1,h2"),
        ("https://host/v1?api_key=hunter2", "https://host/v1?***"),
        ("nats://user:hun/ter2@host", "***"),
        ("nats://user:1,hunter2@host", "nats://user:1,***"),
        ("nats://[::1]:4222", "nats://[::1]:4222"),
        ("localhost:4222", "localhost:4222"),
        ("", ""),
    ],
)
def test_an_address_is_shown_without_what_is_secret_in_it(url: str, shown: str) -> None:
    assert str(Url(url)) == shown
    assert "hunter2" not in repr(Url(url))


@given(
    user=st.text(alphabet="abcXYZ0123._~-%", min_size=1, max_size=8),
    password=st.text(min_size=1, max_size=12).map(lambda text: f"hunter2{text}hunter2"),
    port=st.integers(1, 65535),
)
def test_no_password_shows_whatever_characters_it_has(user: str, password: str, port: int) -> None:
    assert "hunter2" not in str(Url(f"nats://{user}:{password}@host:{port}"))


@pytest.mark.parametrize(
    "url", ["nats://h:0", "nats://h:65536", "nats://", "http://h", "nats://a b", "nats://h,", "x@h"]
)
def test_addresses_of_another_form_are_not_valid(url: str) -> None:
    assert not Url(url).is_valid("nats", "tls")


@pytest.mark.parametrize(
    "url", ["nats://h", "h", "h:4222,tls://g", "NATS://u:p@h:1", "nats://[::1]:4222", "nats://t@h"]
)
def test_valid_addresses(url: str) -> None:
    assert Url(url).is_valid("nats", "tls")
