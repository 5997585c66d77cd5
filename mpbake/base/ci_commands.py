r"""Text in which no CI finds a command. Runners of CI systems read commands from the output of a job.

GitHub obeys a line that begins with `::set-output …::` after white space, and `##[set-output …]` anywhere in a line.
Azure obeys `##vso[…]`, TeamCity obeys `##teamcity[…]`. The markers of GitLab need control characters, which `printable`
escapes. Output of mpbake may contain text of a plan, an image or a build, and must not contain a command.
"""

from __future__ import annotations

import re

_COMMAND = re.compile(r"^([^\S\n]*):(?=:[A-Za-z])", re.MULTILINE)
"""GitHub ignores all white space of Unicode before a command, such as a no-break space."""
_MARKER = re.compile(r"##(?=[A-Za-z]*\[)")


def without_commands(text: str) -> str:
    r"""Return a text for people in which the first character of a command is escaped: `\x3a:set-output`, `#\x23[`."""
    if "::" in text:
        text = _COMMAND.sub(r"\1\\x3a", text)
    return _MARKER.sub(r"#\\x23", text) if "##" in text else text


def without_commands_in_strings(text: str) -> str:
    r"""Return a JSON or TOML text with the same values in which no string contains `##[`."""
    return _MARKER.sub(r"#\\u0023", text) if "##" in text else text
