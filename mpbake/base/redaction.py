"""What nobody may see, taken out of texts before they are printed or written. Pure."""

from __future__ import annotations

import contextlib
import csv
import json
import re
import threading
from typing import TYPE_CHECKING, Any, TextIO, cast
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MASK = "***"
"""What is shown instead."""

SHORTEST = 3
"""Characters that a value needs to be hidden: a shorter one stands in every other word."""

CREDENTIAL_FIELDS = ("access_key_id", "secret_access_key", "session_token", "token", "ghtoken", "account_key", "sas")
"""The fields of BuildKit's caches (s3, azblob, gha) that hold credentials."""

_PARAMETERS = (
    "access_token|api_key|apikey|auth|key|password|private_token|sig|signature|token|"
    "x-amz-credential|x-amz-security-token|x-amz-signature|x-goog-signature"
)
_USER = re.compile(r"""(?<=://)[^\s/?#"'`<>]+(?=@(?!sha\d+:))""")
_PARAMETER = re.compile(rf"""[?&;](?:{_PARAMETERS})=(?P<value>[^\s&;#"'`<>]+)""", re.IGNORECASE)
_FIELD = re.compile(rf"""(?:^|,)["\s]*(?:{"|".join(CREDENTIAL_FIELDS)})=""", re.IGNORECASE)
_FIELD_OF_SOURCE = re.compile(
    rf"""(?<![\w-])(?:{"|".join(CREDENTIAL_FIELDS)})[ \t]*=[ \t\\"']*(?P<text>(?P<word>[^\s\\"',{{\[]+)[^\\"'\n]*)""",
    re.IGNORECASE,
)
_HEADER = re.compile(r"\n(?=\[)")
_DEFAULT_OF_SOURCE = re.compile(r"""\bdefault[ \t]*=[ \t]*(?P<quote>["'])(?P<text>[^\n]*?)(?P=quote)""")
_TOKEN_LENGTH = 16
_BASIC = "x-oauth-basic"
"""The password of those whose user is a token."""

_LONGEST_NUMBER = 14_000
"""The bits of a number that Python still prints: no other can ever be seen."""
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]")
# White space is folded, escaped and encoded in many ways.
_BLANK = r"(?:\\?\s|\+|%[0-9A-Fa-f]{2}|\\[nrtvf]|\\x[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4})+"
_SHELL_QUOTES = ("'\"'\"'", r"'\''")


class Redactor:
    """Knows what is secret and hides it; safe to use from several threads."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._known: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Hide `secrets` from now on; those shorter than `SHORTEST` are left alone."""
        with self._lock:
            known = self._known.union(part for secret in secrets for part in _parts(secret))
            if known != self._known:
                # Longest first: a secret may begin with another one.
                longest_first = sorted(known, key=lambda each: (-len(each), each))
                self._pattern = re.compile("|".join(map(_in_any_form, longest_first)))
                self._known = known

    def finds(self, text: str) -> bool:
        """Whether one of the secrets stands in `text`."""
        return self._pattern is not None and bool(self._pattern.search(text))

    def redact(self, text: str) -> str:
        """`text` with `***` in place of every secret, however it is written, and of the passwords of URLs."""
        hidden = text if self._pattern is None else self._pattern.sub(MASK, text)
        return _USER.sub(_without_password, hidden) if "://" in hidden else hidden


def _parts(secret: str) -> Iterator[str]:
    """What is looked for: each line of a secret, since lines are printed one by one; all of it if one is too short."""
    lines = [line.strip() for line in secret.splitlines() if line.strip()]
    yield from (line for line in lines if len(line) >= SHORTEST)
    if any(len(line) < SHORTEST for line in lines) and len(secret.strip()) >= SHORTEST:
        yield secret.strip()


def _in_any_form(secret: str) -> str:
    """A pattern for `secret` as it is and as JSON, URLs, shells, CSV and mpbake's own messages write it."""
    return "".join(_BLANK if part.isspace() else _forms(part) for part in re.findall(r"\s+|\S", secret))


def _forms(character: str) -> str:
    if _PLAIN.fullmatch(character):
        return re.escape(character)
    code = ord(character)
    escaped = f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    encoded = "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
    in_json = json.dumps(character)[1:-1]
    forms = {character, f"\\{character}", escaped, in_json, encoded, encoded.lower()}
    forms |= {f"\\u{code:04x}", f"\\u{code:04X}", f"\\U{code:08x}", f"\\U{code:08X}"}
    if character in '$%"':  # bake doubles the first two, CSV the third
        forms.add(character * 2)
    if character == "'":
        forms.update(_SHELL_QUOTES)
    return f"(?:{'|'.join(re.escape(each) for each in sorted(forms, key=lambda each: (-len(each), each)))})"


def scalars_in(value: Any) -> Iterator[str]:
    """What is to be hidden of a value: every text and number in it, however deep. True and false tell nothing."""
    match value:
        case dict():
            yield from (text for each in value.values() for text in scalars_in(each))
        case list() | tuple():
            yield from (text for each in value for text in scalars_in(each))
        case None | bool():
            pass
        case int() if value.bit_length() > _LONGEST_NUMBER:
            pass
        case _:
            yield str(value)


def _without_password(found: re.Match[str]) -> str:
    """The part of a URL before the `@`, without what lets somebody in."""
    user, colon, password = found.group().partition(":")
    if colon and not _is_placeholder(password):
        return f"{MASK if password == _BASIC else user}:{MASK}"
    return MASK if not colon and _is_token(found) else found.group()


def _is_token(found: re.Match[str]) -> bool:
    """Whether a user without a password is a token, as git hosts take it: names of people are shorter, and words."""
    user = found.group()
    of_the_web = found.string[: found.start()].endswith(("http://", "https://"))
    return of_the_web and not _is_placeholder(user) and (len(user) >= _TOKEN_LENGTH or bool(re.search(r"\d", user)))


def _is_placeholder(value: str) -> bool:
    """Whether somebody else is to fill `value` in: a shell, or a template that is not rendered yet."""
    return not value or value.startswith("$") or "{{" in value or value == MASK


def passwords_in(text: str) -> set[str]:
    """The passwords in the URLs of `text`, encoded as they are and decoded."""
    found = {user.group().partition(":")[2] for user in _USER.finditer(text)} if "://" in text else set()
    return _decoded(found)


def credentials_in(text: str) -> set[str]:
    """What in the URLs of `text`, or in its fields if it describes a cache, lets somebody in."""
    found = passwords_in(text)
    if "://" in text:
        users = list(_USER.finditer(text))
        found |= _decoded(user.group() for user in users if ":" not in user.group() and _is_token(user))
        found |= _decoded(user.group().partition(":")[0] for user in users if user.group().endswith(f":{_BASIC}"))
        found |= _decoded(each["value"] for each in _PARAMETER.finditer(text))
    return found | _decoded(_credential_fields(text)) if _FIELD.search(text) else found


def redact_credentials(text: str) -> str:
    """`text` without what `credentials_in` finds in it: to be called before it is cut, since a part is not found."""
    return Redactor(credentials_in(text)).redact(text)


def credentials_in_source(line: str) -> set[str]:
    """What in a line of a plan that cannot be parsed lets somebody in, as far as its looks tell."""
    found = {each.group(name) for each in _FIELD_OF_SOURCE.finditer(line) for name in ("text", "word") if each[name]}
    return credentials_in(line) | _decoded(found)


def sensitive_defaults_in_source(text: str) -> set[str]:
    """The texts that a plan which cannot be parsed gives as defaults, in tables that speak of what is sensitive."""
    tables = (table for table in _HEADER.split(text) if "sensitive" in table)
    return {each["text"] for table in tables for each in _DEFAULT_OF_SOURCE.finditer(table)}


def _decoded(values: Iterable[str]) -> set[str]:
    return {each for value in values if not _is_placeholder(value) for each in (value, unquote(value))}


def _credential_fields(text: str) -> Iterator[str]:
    with contextlib.suppress(csv.Error):
        for field in next(csv.reader([text]), []):
            name, _, value = field.partition("=")
            if name.strip().lower() in CREDENTIAL_FIELDS:
                yield value


class _HidingStream:
    """A stream that hides what is written to it; in all else it is the stream behind it."""

    def __init__(self, stream: TextIO, redactor: Redactor) -> None:
        self._stream = stream
        self._hiding = redactor

    def write(self, text: str) -> int:
        self._stream.write(self._hiding.redact(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def redacting_stream(stream: TextIO, redactor: Redactor) -> TextIO:
    """`stream`, to which no secret is written.

    It sees one write at a time: a text that is cut into several must be hidden before.
    """
    return cast("TextIO", _HidingStream(stream, redactor))
