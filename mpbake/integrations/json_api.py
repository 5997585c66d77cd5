"""Requests to the JSON API of a code host, with its pages, its errors, and a token that no message contains."""

from __future__ import annotations

import http.client
import json
import re
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from mpbake.base.errors import BuildFailed, MpbakeError, Unreachable, UsageError
from mpbake.base.text import one_line, short_name, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_SECONDS = 30.0
_LARGEST = 16 * 1024 * 1024
_MOST_PAGES = 100
_LONGEST_REASON = 200
_BACKOFF = (1.0, 4.0)
"""Seconds before each retry of a request that changes nothing, or that may be repeated."""
_NEXT = re.compile(r'<([^>]+)>;[^,]*\brel="next"')
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


class _NoRedirects(HTTPRedirectHandler):
    """Follows no redirect, since the token must not reach another server."""

    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class JsonApi:
    """The API of `host`, such as GitHub, at the URL `base`. Messages name `host`.

    `hints` holds what to do for each status of an error. `pause` waits for some seconds.
    """

    host: str
    base: str
    headers: Mapping[str, str] = field(repr=False)
    hints: Mapping[int, str] = field(default_factory=dict)
    pause: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        """Refuse a URL that would send the token without encryption. Raises UsageError."""
        url = urlsplit(self.base)
        if url.scheme != "https" and not (url.scheme == "http" and url.hostname in _LOOPBACK):
            raise UsageError(f"{short_name(self.base)} is not an https URL", hint=f"check the URL of {self.host}'s API")

    def items(self, path: str) -> Iterator[Any]:
        """Yield the items of a list, page by page."""
        url = f"{self.base}{path}"
        for _ in range(_MOST_PAGES):
            page, link = self._answer("GET", url, None)
            if not isinstance(page, list):
                raise BuildFailed(f"{self.host} did not answer with a list", hint="check the URL of its API")
            yield from page
            following = _NEXT.search(link)
            if following is None:
                return
            url = following[1]
            if urlsplit(url)[:2] != urlsplit(self.base)[:2]:
                raise BuildFailed(f"{self.host} names a next page on another server: {short_name(url)}")

    def get(self, path: str) -> Any:
        """Return one object."""
        return self._answer("GET", f"{self.base}{path}", None)[0]

    def send(self, method: str, path: str, body: Mapping[str, Any]) -> Any:
        """Send an object, and return the answer."""
        return self._answer(method, f"{self.base}{path}", body)[0]

    def _answer(self, method: str, url: str, body: Mapping[str, Any] | None) -> tuple[Any, str]:
        """Return the answer and its header `Link`. Raises MpbakeError.

        Retry after a failure of the server, except for a POST: the server may have created the object.
        """
        for seconds in _BACKOFF if method != "POST" else ():
            try:
                return self._request(method, url, body)
            except Unreachable:
                self.pause(seconds)
        return self._request(method, url, body)

    def _request(self, method: str, url: str, body: Mapping[str, Any] | None) -> tuple[Any, str]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"User-Agent": "mpbake", "Content-Type": "application/json", **self.headers}
        request = Request(url, data=data, headers=headers, method=method)  # noqa: S310 - __post_init__ checks the scheme
        try:
            with build_opener(_NoRedirects).open(request, timeout=_SECONDS) as response:
                return json.loads(response.read(_LARGEST)), response.headers.get("Link", "")
        except HTTPError as error:
            with error:
                raise self._refusal(method, error) from None
        except (URLError, OSError, http.client.HTTPException) as error:
            reason = one_line(shortened(str(getattr(error, "reason", error)), _LONGEST_REASON))
            hint = "check the network of the runner, and run the job again"
            raise Unreachable(f"{self.host} does not answer: {reason}", hint=hint) from None
        except ValueError:
            raise BuildFailed(f"{self.host} did not answer with JSON", hint="check the URL of its API") from None

    def _refusal(self, method: str, error: HTTPError) -> MpbakeError:
        status = error.code
        what = {"GET": "list comments", "POST": "create a comment"}.get(method, "update a comment")
        message = f"{self.host} refused to {what}: {status} {_reason(error)}".rstrip()
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return Unreachable(message, hint=f"{self.host} has a failure: run the job again later")
        limited = status == HTTPStatus.TOO_MANY_REQUESTS or error.headers.get("x-ratelimit-remaining") == "0"
        if limited:
            return Unreachable(message, hint=f"the rate limit of {self.host} is used up: run the job again later")
        return BuildFailed(message, hint=self.hints.get(status, ""))


def _reason(error: HTTPError) -> str:
    """Return the server's own words, or the name of the status."""
    try:
        answer = json.loads(error.read(_LARGEST))
        reason = answer.get("message") or answer.get("error") or ""
    except (OSError, ValueError, AttributeError, http.client.HTTPException):
        reason = ""
    return one_line(shortened(str(reason or error.reason), _LONGEST_REASON))
