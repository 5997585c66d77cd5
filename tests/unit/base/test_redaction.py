"""Redaction of secrets and credentials."""

from __future__ import annotations

import io
import json
import shlex
import threading
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpbake.base import redaction as redactor
from mpbake.base.redaction import MASK, SHORTEST, Redactor, credentials_in, passwords_in, redacting_stream, scalars_in
from mpbake.base.references import format_fields
from mpbake.base.text import one_line, printable
from mpbake.report.plan.bake_definition import bake_json
from tests.checkout import DOCS

SECRETS = st.text(min_size=SHORTEST, max_size=30).filter(
    lambda text: len(text.strip()) >= SHORTEST and "*" not in text and len(text.splitlines()) == 1
)


# --- redacted text ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("secrets", "text", "hidden"),
    [
        ([], "hunter2", "hunter2"),
        (["hunter2"], "", ""),
        (["hunter2"], "the token is hunter2.", "the token is ***."),
        (["hunter2"], "hunter2hunter2 xhunter2x", "****** x***x"),
        (["hunter2"], "Hunter2 hunter", "Hunter2 hunter"),
        (["hunter2", "hunter2-long"], "hunter2-long hunter2", "*** ***"),
        (["hunter2-long", "hunter2"], "hunter2-long hunter2", "*** ***"),
        (["abcdef", "defghi"], "abcdefghi", "***ghi"),
        ([" hunter2\n"], "hunter2", "***"),
        (["a.c"], "abc a.c", "abc ***"),
        (["", "a", "ab", "  \n"], "a ab b", "a ab b"),
        (["a b"], "a b a  b a\tb a%20b a+b a\\ b ab", "*** *** *** *** *** *** ab"),
    ],
)
def test_what_is_hidden(secrets: list[str], text: str, hidden: str) -> None:
    assert Redactor(secrets).redact(text) == hidden


def test_secrets_of_several_lines_are_hidden_line_by_line() -> None:
    redactor = Redactor(["-----BEGIN KEY-----\r\nMIIE/pQ+=\r\n-----END KEY-----\r\n"])
    assert redactor.redact("MIIE/pQ+=") == MASK
    assert redactor.redact("#12 0.3   -----END KEY-----") == "#12 0.3   ***"
    assert redactor.redact(json.dumps("x\nMIIE/pQ+=\ny")) == '"x\\n***\\ny"'


def test_a_line_that_is_too_short_is_hidden_with_the_others() -> None:
    redactor = Redactor(["ab\ncdef\ngh"])
    assert redactor.redact("ab gh") == "ab gh"
    assert redactor.redact("x ab\ncdef\ngh y") == "x *** y"
    assert redactor.redact(json.dumps("ab\ncdef\ngh")) == '"***"'


@given(secret=SECRETS, around=st.text(alphabet="xyz \n", max_size=5))
def test_nothing_is_left_of_a_secret_however_it_is_written(secret: str, around: str) -> None:
    redactor = Redactor([secret])
    bare = secret.strip()
    written = [
        secret,
        json.dumps(secret),
        json.dumps(secret, ensure_ascii=False),
        shlex.quote(secret),
        repr(secret)[1:-1],
        printable(secret),
        one_line(secret),
        " ".join(secret.split()),
        bake_json({"context": secret}),
        format_fields({"token": secret}),
    ]
    if not any(0xD800 <= ord(character) < 0xE000 for character in secret):
        written += [urllib.parse.quote(secret), urllib.parse.quote(secret, safe=""), urllib.parse.quote_plus(secret)]
    for text in written:
        hidden = redactor.redact(f"{around}{text}{around}")
        assert MASK in hidden
        assert bare not in hidden
        assert redactor.redact(hidden) == hidden


@given(secrets=st.lists(SECRETS, max_size=5), text=st.text(max_size=50))
def test_hiding_takes_nothing_else_away(secrets: list[str], text: str) -> None:
    redactor = Redactor(secrets)
    hidden = redactor.redact(text)
    assert redactor.finds(text) == (hidden != text)
    assert not any(secret.strip() in hidden for secret in secrets)


def test_what_is_added_later_is_hidden_later() -> None:
    redactor = Redactor()
    assert redactor.redact("one two") == "one two"
    redactor.add(["one"])
    redactor.add([])
    redactor.add(["two", "one"])
    assert redactor.redact("one two") == "*** ***"
    assert redactor.finds("one")
    assert not redactor.finds("three")


def test_several_threads_may_add() -> None:
    redactor = Redactor()
    names = [f"secret{number:03}" for number in range(100)]
    threads = [threading.Thread(target=redactor.add, args=([name],)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert redactor.redact(" ".join(names)) == " ".join([MASK] * len(names))


# --- credentials ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "redacted", "credentials"),
    [
        ("https://user:hunter2@host/x.git", "https://user:***@host/x.git", {"hunter2"}),
        ("https://user:p%40ss@host", "https://user:***@host", {"p%40ss", "p@ss"}),
        ("https://user:p@ss:w@host/a@b", "https://user:***@host/a@b", {"p@ss:w"}),
        ("ssh://git:hunter2@host/x", "ssh://git:***@host/x", {"hunter2"}),
        ("postgres://a:b-c-d@db/x", "postgres://a:***@db/x", {"b-c-d"}),
        ("https://:hunter2@host", "https://:***@host", {"hunter2"}),
        ("https://ghp_16C7e42F292c@github.com/a/b", "https://***@github.com/a/b", {"ghp_16C7e42F292c"}),
        ("https://abcdefghijklmnop@host", "https://***@host", {"abcdefghijklmnop"}),
        ("http://s3cret@host", "http://***@host", {"s3cret"}),
        ("https://s3cret:x-oauth-basic@host", "https://***:***@host", {"s3cret", "x-oauth-basic"}),
        ("https://git@host/x", "https://git@host/x", set()),
        ("ssh://deploy42@host/x", "ssh://deploy42@host/x", set()),
        ("git@github.com:team/web.git", "git@github.com:team/web.git", set()),
        ("https://host/x?access_token=abc1&b=2", "https://host/x?access_token=abc1&b=2", {"abc1"}),
        ("https://host/x?sv=1&SIG=a%3D#main", "https://host/x?sv=1&SIG=a%3D#main", {"a%3D", "a="}),
        ("https://host:5000/x@y", "https://host:5000/x@y", set()),
        ("docker-image://alpine:3.20@sha256:abc", "docker-image://alpine:3.20@sha256:abc", set()),
        ("https://user:@host", "https://user:@host", set()),
        ("https://user:$TOKEN@host", "https://user:$TOKEN@host", set()),
        ("https://user:${TOKEN}@host", "https://user:${TOKEN}@host", set()),
        ("https://user:{{token}}@host", "https://user:{{token}}@host", set()),
        ("https://user:***@host", "https://user:***@host", set()),
        ("two: https://a:bcd@e and http://f:ghi@j", "two: https://a:***@e and http://f:***@j", {"bcd", "ghi"}),
        ('{"url":"https://a:bcd@e"}', '{"url":"https://a:***@e"}', {"bcd"}),
    ],
)
def test_credentials_in_urls(text: str, redacted: str, credentials: set[str]) -> None:
    assert Redactor().redact(text) == redacted
    assert credentials_in(text) == credentials


@pytest.mark.parametrize(
    ("text", "credentials"),
    [
        ("type=s3,region=eu,access_key_id=AKIA1,secret_access_key=a/b+c=", {"AKIA1", "a/b+c="}),
        ("type=s3,session_token=abc", {"abc"}),
        ("type=azblob,account_url=https://x.example.com,secret_access_key=abc==", {"abc=="}),
        ("type=azblob,account_url=https://x.example.com?sv=1&sig=abc", {"abc"}),
        ('type=gha,scope=x,"token=a,b"', {"a,b"}),
        ("type=gha,ghtoken=ghs_1,Token=t-1", {"ghs_1", "t-1"}),
        ("token=abc,type=gha", {"abc"}),
        ("type=registry,ref=r/token=x", set()),
        ("type=local,src=secret_access_key", set()),
        ("type=gha,token={{ token }}", set()),
        ("type=gha,token=", set()),
        ('type=gha,token="unclosed\n', {'"unclosed'}),
        ("type=gha,a\rtoken=x\ry,token=x", set()),
        ("", set()),
    ],
)
def test_credentials_in_caches(text: str, credentials: set[str]) -> None:
    assert credentials_in(text) == credentials


def test_only_passwords_are_sure() -> None:
    assert passwords_in("https://a1@b https://c:def@e?token=x type=gha,token=y") == {"def"}
    assert passwords_in("x") == set()


# --- values and streams -----------------------------------------------------------------------------------------------


def test_what_a_value_has_to_hide() -> None:
    value = ["one", {"key": "two", "more": [3, 4.5, True, None]}, (5,)]
    assert list(scalars_in(value)) == ["one", "two", "3", "4.5", "5"]


def test_a_stream_that_hides() -> None:
    stream = io.StringIO()
    redactor = Redactor()
    hidden = redacting_stream(stream, redactor)
    assert hidden.write("hunter2\n") == 8
    redactor.add(["hunter2"])
    assert hidden.write("hunter2\n") == 8
    hidden.writelines(["a hunter2\n", "b\n"])
    print("hunter2", "c", file=hidden)
    assert stream.getvalue() == "hunter2\n***\na ***\nb\n*** c\n"
    assert not hidden.isatty()
    hidden.flush()


def test_the_documentation_says_what_is_taken_for_a_credential() -> None:
    page = (DOCS / "secrets.md").read_text(encoding="utf-8").partition("## What mpbake redacts")[0]
    page = " ".join(page.split())
    names = {*redactor._PARAMETERS.split("|"), *redactor.CREDENTIAL_FIELDS}
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []
    assert f"has a digit, or {redactor._TOKEN_LENGTH} characters or more" in page
    urls = {"https://token@host": False, "https://token1@host": True, "https://abcdefghijklmnop@host": True}
    for url, hidden in urls.items():
        assert (Redactor().redact(url) != url) is hidden
    assert "`https://token@host`, counts as a name" in page
