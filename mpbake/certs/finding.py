"""A finding about a file of keys or certificates, and the hints that findings share. Imports no cryptography."""

from __future__ import annotations

from dataclasses import dataclass

from mpbake.base.codes import Code, Severity

PATH_HINT = "correct the path: it is relative to the folder of the file that contains it"
"""The hint for a file that does not exist."""
UNREADABLE_HINT = "use a file that this user can read"
"""The hint for a file that cannot be read."""
RENEW_HINT = "run `mpbake certs issue`, or renew it with the tool that made it"
"""The hint for the certificate of a client or a deployed node that has expired, or soon expires."""
AUTHORITY_HINT = "move it and its key away, then run `mpbake certs init` and `mpbake certs issue --rekey`"
"""The hint for a certificate authority that has expired, or soon expires."""
PEM_HINT = "use a PEM file: text that begins with -----BEGIN"
"""The hint for a file that contains neither a key nor a certificate."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CertificateFinding:
    """An error or a warning about one file of a node, with a hint.

    `key` is the path in the node's table to the name of the file, such as `("tls", "ca")`. The code determines the
    severity.
    """

    key: tuple[str, ...]
    message: str
    hint: str
    code: Code = Code.BAD_CERTIFICATE

    @property
    def is_error(self) -> bool:
        """Whether the finding is an error: TLS cannot use the file."""
        return self.code.severity is Severity.ERROR

    def __str__(self) -> str:
        """The key and the message: `tls.ca: is not a certificate`."""
        return f"{'.'.join(self.key)}: {self.message}"


class UnusableFile(Exception):
    """The error for a file that cannot be read, or that does not contain the expected key or certificate.

    `message` contains the path only if `has_path`.
    """

    def __init__(self, message: str, hint: str, code: Code = Code.BAD_CERTIFICATE, *, has_path: bool = False) -> None:
        super().__init__(message)
        self.has_path = has_path
        self.message = message
        self.hint = hint
        self.code = code

    @property
    def is_unreadable(self) -> bool:
        """Whether there may be a good file, which this user cannot read."""
        return self.has_path and self.code is not Code.MISSING_FILE

    def about(self, path: str) -> str:
        """Return a message that contains the path."""
        return self.message if self.has_path else f"{path}: {self.message}"

    def finding(self, *key: str) -> CertificateFinding:
        """Return the finding about this file, which the plan names at `key`."""
        return CertificateFinding(key=key, message=self.message, hint=self.hint, code=self.code)
