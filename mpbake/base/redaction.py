"""Redaction: mask secrets and credentials in texts before mpbake prints or writes the texts. Pure."""

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
"""The text that replaces a secret."""

SHORTEST = 3
"""The minimum length of a redacted value. A shorter value occurs in many ordinary words."""

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
_TABLE_START = re.compile(r"\n(?=\[)")
_DEFAULT_OF_SOURCE = re.compile(r"""\bdefault[ \t]*=[ \t]*(?P<quote>["'])(?P<text>[^\n]*?)(?P=quote)""")
_TOKEN_LENGTH = 16
_BASIC = "x-oauth-basic"
"""The password in a URL whose user name is a token."""

_LONGEST_NUMBER = 14_000
"""The size in bits of the largest number that Python prints; larger numbers cannot appear in any output."""
_UNESCAPED = re.compile(r"[A-Za-z0-9_.~-]")
# Programs print white space in many ways: folded, escaped or encoded.
_ENCODED_BLANK = r"(?:\\?\s|\+|%[0-9A-Fa-f]{2}|\\[nrtvf]|\\x[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4})+"
_SHELL_QUOTES = ("'\"'\"'", r"'\''")


class Redactor:
    """Redacts a set of secrets in texts; thread-safe."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._known: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Redact `secrets` from now on, except secrets shorter than `SHORTEST`."""
        with self._lock:
            known = self._known.union(part for secret in secrets for part in _parts(secret))
            if known != self._known:
                # Longest first: a secret may begin with another secret.
                longest_first = sorted(known, key=lambda secret: (-len(secret), secret))
                self._pattern = re.compile("|".join(map(_in_any_form, longest_first)))
                self._known = known

    def finds(self, text: str) -> bool:
        """Whether `text` contains one of the secrets."""
        return self._pattern is not None and bool(self._pattern.search(text))

    def redact(self, text: str) -> str:
        """Replace every secret in `text`, in any notation, and the passwords of URLs with `***`."""
        redacted = text if self._pattern is None else self._pattern.sub(MASK, text)
        return _USER.sub(_without_password, redacted) if "://" in redacted else redacted


def _parts(secret: str) -> Iterator[str]:
    """Split a secret into lines, since output is printed line by line. If a line is too short, add the whole secret."""
    lines = [line.strip() for line in secret.splitlines() if line.strip()]
    yield from (line for line in lines if len(line) >= SHORTEST)
    if any(len(line) < SHORTEST for line in lines) and len(secret.strip()) >= SHORTEST:
        yield secret.strip()


def _in_any_form(secret: str) -> str:
    """Return a pattern for `secret`: verbatim, or escaped as in JSON, URLs, shells, CSV and mpbake's own messages."""
    return "".join(_ENCODED_BLANK if part.isspace() else _forms(part) for part in re.findall(r"\s+|\S", secret))


def _forms(character: str) -> str:
    if _UNESCAPED.fullmatch(character):
        return re.escape(character)
    code = ord(character)
    escaped = f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    encoded = "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
    in_json = json.dumps(character)[1:-1]
    forms = {character, f"\\{character}", escaped, in_json, encoded, encoded.lower()}
    forms |= {f"\\u{code:04x}", f"\\u{code:04X}", f"\\U{code:08x}", f"\\U{code:08X}"}
    if character in '$%"':  # bake doubles `$` and `%`, CSV doubles `"`
        forms.add(character * 2)
    if character == "'":
        forms.update(_SHELL_QUOTES)
    return f"(?:{'|'.join(re.escape(form) for form in sorted(forms, key=lambda form: (-len(form), form)))})"


def scalars_in(value: Any) -> Iterator[str]:
    """Yield every string and number in a nested value, as text to redact. Booleans reveal nothing."""
    match value:
        case dict():
            yield from (text for item in value.values() for text in scalars_in(item))
        case list() | tuple():
            yield from (text for item in value for text in scalars_in(item))
        case None | bool():
            pass
        case int() if value.bit_length() > _LONGEST_NUMBER:
            pass
        case _:
            yield str(value)


def _without_password(user_part: re.Match[str]) -> str:
    """Return the part of a URL before the `@`, with its credentials masked."""
    user, colon, password = user_part.group().partition(":")
    if colon and not _is_placeholder(password):
        return f"{MASK if password == _BASIC else user}:{MASK}"
    return MASK if not colon and _is_token(user_part) else user_part.group()


def _is_token(user_part: re.Match[str]) -> bool:
    """Whether a user name without a password is a token for a git host: longer than a name, or with digits."""
    user = user_part.group()
    is_http = user_part.string[: user_part.start()].endswith(("http://", "https://"))
    return is_http and not _is_placeholder(user) and (len(user) >= _TOKEN_LENGTH or bool(re.search(r"\d", user)))


def _is_placeholder(value: str) -> bool:
    """Whether `value` is a placeholder: empty, a shell variable, a template that is not rendered yet, or the mask."""
    return not value or value.startswith("$") or "{{" in value or value == MASK


def passwords_in(text: str) -> set[str]:
    """Return the passwords in the URLs of `text`, both verbatim and URL-decoded."""
    passwords = {user.group().partition(":")[2] for user in _USER.finditer(text)} if "://" in text else set()
    return _decoded(passwords)


def credentials_in(text: str) -> set[str]:
    """Return the credentials in the URLs of `text` and, if `text` is a cache entry, in its fields."""
    credentials = passwords_in(text)
    if "://" in text:
        users = list(_USER.finditer(text))
        credentials |= _decoded(user.group() for user in users if ":" not in user.group() and _is_token(user))
        credentials |= _decoded(user.group().partition(":")[0] for user in users if user.group().endswith(f":{_BASIC}"))
        credentials |= _decoded(parameter["value"] for parameter in _PARAMETER.finditer(text))
    return credentials | _decoded(_credential_fields(text)) if _FIELD.search(text) else credentials


def redact_credentials(text: str) -> str:
    """Redact the credentials in `text`. Redact a text before you shorten the text: a cut credential is not detected."""
    return Redactor(credentials_in(text)).redact(text)


def credentials_in_source(line: str) -> set[str]:
    """Return the credentials in a line of a plan that cannot be parsed. Credentials are detected by pattern."""
    fields = _FIELD_OF_SOURCE.finditer(line)
    values = {field.group(name) for field in fields for name in ("text", "word") if field[name]}
    return credentials_in(line) | _decoded(values)


def sensitive_defaults_in_source(text: str) -> set[str]:
    """Return the `default` strings of a plan that cannot be parsed, from tables that contain the word `sensitive`."""
    tables = (table for table in _TABLE_START.split(text) if "sensitive" in table)
    return {default["text"] for table in tables for default in _DEFAULT_OF_SOURCE.finditer(table)}


def _decoded(values: Iterable[str]) -> set[str]:
    return {form for value in values if not _is_placeholder(value) for form in (value, unquote(value))}


def _credential_fields(text: str) -> Iterator[str]:
    with contextlib.suppress(csv.Error):
        for field in next(csv.reader([text]), []):
            name, _, value = field.partition("=")
            if name.strip().lower() in CREDENTIAL_FIELDS:
                yield value


class _RedactingStream:
    """A wrapper of a stream that redacts all text before writing."""

    def __init__(self, stream: TextIO, redactor: Redactor) -> None:
        self._stream = stream
        self._redactor = redactor

    def write(self, text: str) -> int:
        self._stream.write(self._redactor.redact(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def redacting_stream(stream: TextIO, redactor: Redactor) -> TextIO:
    """Return a wrapper of `stream` that redacts all written text.

    Each write is redacted separately. To split a text over several writes, redact the whole text first.
    """
    return cast("TextIO", _RedactingStream(stream, redactor))
