"""Hostile checkouts: functions that write one into a folder. Beside the folder are `outside` and `home`, with secrets.

`SECRET` is in every file outside, and in the environment. The programs in a checkout leave a mark when they run.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Write = Callable[[Path], None]

SECRET = "hunter2-of-the-user"
HEAD = "version = 1\n"
WEB = f"{HEAD}[targets.web]\ntags = ['r/web']\n"
_COMMANDS = "::set-output name=x::y ##[error]z"


def _plan(toml: str, **files: str) -> Write:
    """Return a function that writes `build.toml` and other files."""

    def write(folder: Path) -> None:
        (folder / "build.toml").write_text(toml, encoding="utf-8", errors="surrogatepass")
        (folder / "Dockerfile").write_text("FROM scratch\n")
        for name, text in files.items():
            path = folder / name.replace("__", "/").replace("_toml", ".toml")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    return write


def _with(toml: str, *steps: Write) -> Write:
    def write(folder: Path) -> None:
        _plan(toml)(folder)
        for step in steps:
            step(folder)

    return write


def _link(name: str, to: str) -> Write:
    def write(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(to)

    return write


def _bytes(name: str, content: bytes) -> Write:
    def write(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return write


_QUOTED, _PLATFORM, _INCLUDED = '"a"', '"linux/amd64"', '"i.toml"'


def _quoted(before: str, after: str, number: int) -> str:
    """Return numbered texts in TOML."""
    return ", ".join(f'"{before}{index}{after}"' for index in range(number))


def _special(name: str, kind: str) -> Write:
    def write(folder: Path) -> None:
        path = folder / name
        path.unlink(missing_ok=True)
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "folder":
            path.mkdir()
        elif kind == "huge":
            path.touch()
            os.truncate(path, 1 << 40)
        elif kind == "unreadable":
            path.write_text(WEB)
            path.chmod(0)
        else:
            with socket.socket(socket.AF_UNIX) as listener:
                os.chdir(folder)  # the path of a socket is short
                listener.bind(name)

    return write


def _program(path: Path) -> Path:
    """Write a program that leaves a mark in `outside`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\ntouch '{path.parent.parent}'/../marks/ran 2>/dev/null; touch \"$MARK\"\ncat\n")
    path.chmod(0o755)
    return path


def _tls(path: str) -> str:
    files = f"tls = {{ ca = '{path}', cert = '{path}', key = '{path}' }}"
    node = f"[builders.b]\ndriver = 'remote'\n[builders.b.nodes.n]\nendpoint = 'tcp://n:1'\n{files}\n"
    return f"{HEAD}{node}[targets.web]\nbuilder = 'b'\ntags = ['r/web']\n"


# --- reading ----------------------------------------------------------------------------------------------------------

_OUTSIDE = {
    "absolute": "/etc/passwd",
    "up": "../outside/plan.toml",
    "up-through": "inner/../../outside/plan.toml",
    "device": "/dev/zero",
    "random": "/dev/urandom",
    "process": "/proc/self/environ",
    "memory": "/proc/self/mem",
    "kernel": "/proc/kmsg",
    "terminal": "/dev/tty",
    "standard-input": "/dev/stdin",
    "home": "~/.npmrc",
    "link": "link.toml",
    "link-to-link": "second.toml",
    "linked-folder": "folder/plan.toml",
    "link-to-device": "zero.toml",
    "pipe": "pipe",
    "socket": "socket",
    "folder": "inner",
    "huge": "huge",
    "loop": "loop.toml",
    "nul": "a\\u0000b",
    "long": "x" * 5000,
    "url": "file:///etc/passwd",
}


def _surroundings(folder: Path) -> None:
    """Write links and special files of every kind."""
    (folder / "inner").mkdir()
    for name, to in {
        "link.toml": "../outside/plan.toml",
        "second.toml": "link.toml",
        "folder": "../outside",
        "zero.toml": "/dev/zero",
        "loop.toml": "loop.toml",
    }.items():
        (folder / name).symlink_to(to)
    for name in ("pipe", "socket", "huge"):
        _special(name, name)(folder)


READING: Mapping[str, Write] = {
    **{f"include-{name}": _with(f'{HEAD}include = ["{path}"]\n', _surroundings) for name, path in _OUTSIDE.items()},
    **{
        f"certificates-{name}": _with(_tls(_OUTSIDE[name]).replace("\\u0000", ""), _surroundings)
        for name in ("absolute", "up", "device", "link", "linked-folder", "link-to-device", "pipe", "huge", "loop")
    },
    **{
        f"dockerfile-{name}": _with(f'{WEB}dockerfile = "{_OUTSIDE[name]}"\n', _surroundings)
        for name in ("absolute", "up", "device", "process", "link", "linked-folder", "link-to-device", "pipe", "huge")
    },
    "plan-is-a-link": _with("", _link("build.toml", "../outside/npmrc")),
    "plan-is-a-link-to-toml": _with("", _link("build.toml", "../outside/plan.toml")),
    "plan-is-a-link-to-a-device": _with("", _link("build.toml", "/dev/zero")),
    "plan-is-a-link-to-the-environment": _with("", _link("build.toml", "/proc/self/environ")),
    "plan-is-a-pipe": _with("", _special("build.toml", "pipe")),
    "plan-is-a-folder": _with("", _special("build.toml", "folder")),
    "plan-is-huge": _with("", _special("build.toml", "huge")),
    "plan-is-a-socket": _with("", _special("build.toml", "socket")),
    "contexts-elsewhere": _plan(f"{WEB}context = '/etc'\ncontexts = {{ a = '../outside', b = '/root' }}\n"),
    "secrets-elsewhere": _plan(
        f"{WEB}secret = ['id=a,src=../outside/npmrc', 'id=TOKEN']\nssh = ['default=/etc/passwd']\n"
    ),
    "configuration-elsewhere": _plan(
        f"{HEAD}[builders.b]\ndriver = 'docker-container'\nconfig = '../outside/plan.toml'\nnodes.n = {{}}\n"
        "[targets.web]\nbuilder = 'b'\ntags = ['r/web']\n"
    ),
    "variables-of-the-environment": _plan(
        f"{HEAD}[variables.a]\nenv = 'TOKEN'\nsensitive = true\n[targets.web]\n"
        "labels.x = '{{ a }}'\ntags = ['r/w']\n"
    ),
}

# --- templates --------------------------------------------------------------------------------------------------------

_TEMPLATES = {
    "repeat": "{{ 'a' * 999999 }}",
    "concatenate": "{{ 'a' * 800000 ~ N }}",
    "loops": "{% for i in range(99999) %}{{ i | string | length }}{% endfor %}",
    "nested-loops": "{% for i in range(300) %}{% for j in range(300) %}{{ i * j }}{% endfor %}{% endfor %}",
    "sort": "{% for i in range(300) %}{% set x = range(1000) | list | sort | join(',') %}{% endfor %}",
    "replace": "{% for i in range(999) %}{% set x = ('a' * 99000) | replace('a', 'b') | upper %}{% endfor %}",
    "unique": "{% for i in range(99) %}{% set x = range(9900) | map('string') | unique | list %}{% endfor %}",
    "title": "{% for i in range(99) %}{% set x = ('a b ' * 2400) | title %}{% endfor %}",
    "wrap": "{{ ('a ' * 400000) | wordwrap(2) }}",
    "power": "{{ 99999 ** 63 }}",
    "format": "{{ '%999999d' | format(1) }}",
    "center": "{{ 'a' | center(999999) }}",
    "escape": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "macro": "{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}",
    "import": "{% import '/etc/passwd' as x %}{{ x }}",
    "include": "{% include '../outside/plan.toml' %}",
    "extends": "{% extends '/dev/zero' %}",
    "wide": "{{ '\\U0001f600' * 200000 }}",
    "control": "{{ '\\u001b[31m' * 100000 }}",
}


def _labels(template: str, number: int) -> str:
    labels = "".join(
        f'l{index} = """{template.replace("N", str(index))}{{# {index} #}}"""\n' for index in range(number)
    )
    return f"{WEB}[targets.web.labels]\n{labels}"


TEMPLATES: Mapping[str, Write] = {
    **{f"template-{name}": _plan(_labels(text, 20)) for name, text in _TEMPLATES.items()},
    "template-thousand-labels": _plan(_labels("{{ 'a' * 800000 ~ N }}", 1000)),
    "template-of-names": _plan(
        f"{HEAD}[targets.web]\nmatrix = {{ x = '{{{{ range(9999) | list }}}}' }}\n"
        "name = \"w-{{ 'a' * 90000 ~ x }}\"\n"
    ),
    "template-source": _plan(f'{WEB}labels.a = "{"{{ a + 1 }}" * 90_000}"\n'),
    "template-deep": _plan(f'{WEB}labels.a = "{{{{ {"(" * 9000}1{")" * 9000} }}}}"\n'),
    "template-sum": _plan(f'{WEB}labels.a = "{{{{ {"1 + " * 20_000}1 }}}}"\n'),
    "template-variables": _plan(
        f"{HEAD}[variables]\nv0 = 'aaaaaaaaaa'\n"
        + "".join(f"v{n} = '{{{{ v{n - 1} * 10 }}}}'\n" for n in range(1, 30))
        + "[targets.web]\nlabels.a = '{{ v29 }}'\n"
    ),
    "template-lists": _plan(
        f"{HEAD}[variables]\nv0 = [1]\n"
        + "".join(f"v{n} = '{{{{ [v{n - 1}, v{n - 1}] }}}}'\n" for n in range(1, 40))
        + "[targets.web]\nlabels.a = '{{ v39 }}'\n"
    ),
    "template-git": _plan(f"{WEB}labels.a = '{{{{ git.commit }}}}{{{{ git.dirty }}}}{{{{ git.tag }}}}'\n"),
}

# --- sizes, tables and inheritance ------------------------------------------------------------------------------------

SIZES: Mapping[str, Write] = {
    "bytes": _plan(f"{HEAD}x = '{'a' * 9_000_000}'\n"),
    "values": _plan(f"{HEAD}x = [{'1,' * 600_000}]\n"),
    "lines": _plan(HEAD + "#\n" * 600_000),
    "lists": _plan(f"{HEAD}x = [{'[],' * 100_000}]\n"),
    "tables": _plan(HEAD + "".join(f"[a{number}]\n" for number in range(8_000))),
    "deep-list": _plan(f"{HEAD}x = {'[' * 100_000}\n"),
    "deep-table": _plan(f"{HEAD}x = {'{a=' * 50_000}\n"),
    "deep-key": _plan(f"{HEAD}{'.'.join('a' * 100_000)} = 1\n"),
    "deep-header": _plan(f"{HEAD}[{'.'.join('a' * 100_000)}]\n"),
    "quoted-deep-key": _plan(f"{HEAD}{'.'.join([_QUOTED] * 50_000)} = 1\n"),
    "long-key": _plan(f"{HEAD}{'a' * 900_000} = 1\n"),
    "long-number": _plan(f"{HEAD}x = {'9' * 900_000}\n"),
    "long-hex": _plan(f"{HEAD}x = 0x{'f' * 900_000}\n"),
    "hex-list": _plan(f"{HEAD}x = [{'0x1,' * 60_000}]\n"),
    "floats": _plan(f"{HEAD}x = [{'1e999,' * 60_000}]\n"),
    "long-text": _plan(f"{WEB}description = '{'a' * 3_000_000}'\n"),
    "unknown-keys": _plan(WEB + "".join(f"key{number} = 1\n" for number in range(5_000))),
    "unknown-targets": _plan(f"{WEB}needs = [{_quoted('n', '', 5_000)}]\n"),
    "platforms": _plan(f"{WEB}platforms = [{_quoted('linux/a', '', 3_000)}]\n"),
    "same-platforms": _plan(f"{WEB}platforms = [{(_PLATFORM + ',') * 5_000}]\n"),
    "tags": _plan(f"{HEAD}[targets.web]\ntags = [{_quoted('r/web:', '', 9_000)}]\n"),
    "inherits": _plan(
        HEAD + "[targets.t0]\n" + "".join(f"[targets.t{n}]\ninherits = ['t{n - 1}']\n" for n in range(1, 900))
    ),
    "inherits-all": _plan(
        HEAD
        + "[targets._t0]\nargs.A = '1'\n"
        + "".join(f"[targets._t{n}]\ninherits = {['_t' + str(m) for m in range(n)]}\n" for n in range(1, 60))
        + "[targets.web]\ninherits = ['_t59']\n"
    ),
    "inherits-twice": _plan(
        HEAD
        + "[targets._t0]\nargs.A = '1'\n"
        + "".join(f"[targets._t{n}]\ninherits = ['_t{n - 1}', '_t{n - 1}']\n" for n in range(1, 40))
        + "[targets.web]\ninherits = ['_t39']\n"
    ),
    "inherits-itself": _plan(f"{HEAD}[targets.a]\ninherits = ['b']\n[targets.b]\ninherits = ['a']\n"),
    "groups": _plan(
        HEAD
        + "[groups]\ng0 = ['web']\n"
        + "".join(f"g{n} = ['g{n - 1}', 'g{n - 1}']\n" for n in range(1, 60))
        + "[targets.web]\n"
    ),
    "group-cycle": _plan(f"{HEAD}[groups]\na = ['b']\nb = ['a']\ndefault = ['a']\n[targets.web]\n"),
    "globs": _plan(
        f"{HEAD}[groups]\ndefault = ['{'*a' * 40}b']\n" + "".join(f"[targets.{'a' * 60}{n}]\n" for n in range(200))
    ),
    "needs": _plan(
        HEAD
        + "[targets.t0]\n"
        + "".join(f"[targets.t{n}]\nneeds = ['t{n - 1}']\ntags = ['r/t{n}']\npush = true\n" for n in range(1, 400))
    ),
    "links": _plan(
        HEAD
        + "[targets.t0]\n"
        + "".join(
            f"[targets.t{n}]\ncontexts = {{ a = 'target:t{n - 1}', b = 'target:t{max(n - 2, 0)}' }}\n"
            for n in range(1, 300)
        )
    ),
    "link-cycle": _plan(f"{HEAD}[targets.a]\ncontexts.x = 'target:b'\n[targets.b]\ncontexts.x = 'target:a'\n"),
    "matrix": _plan(f"{HEAD}[targets.w]\nname = 'w{{{{ a }}}}'\nmatrix = {{ a = '{{{{ range(99999) | list }}}}' }}\n"),
    "matrix-product": _plan(
        f"{HEAD}[targets.w]\nname = 'w'\n"
        f"matrix = {{ {', '.join(f'a{n} = [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]' for n in range(30))} }}\n"
    ),
    "matrices": _plan(
        HEAD
        + "".join(
            f"[targets.w{n}]\nname = 'w{n}-{{{{ a }}}}'\nmatrix = {{ a = '{{{{ range(20000) | list }}}}' }}\n"
            for n in range(90)
        )
    ),
    "matrix-text": _plan(
        f"{HEAD}[targets.w]\nname = 'w{{{{ a }}}}'\nmatrix = {{ a = '{{{{ range(5000) | list }}}}' }}\n"
        f"labels.x = '{'x' * 500_000}'\n"
    ),
    "matrix-exclude": _plan(
        f"{HEAD}[targets.w]\nname = 'w{{{{ a }}}}'\nmatrix = {{ a = '{{{{ range(900) | list }}}}' }}\n"
        f"exclude = [{', '.join(f'{{ a = {n} }}' for n in range(1000, 5000))}]\n"
    ),
    "matrix-scope": _plan(
        f"{HEAD}[variables]\n"
        + "".join(f"v{n} = 1\n" for n in range(5_000))
        + "[targets.w]\nname = 'w{{ a }}'\nmatrix = { a = '{{ range(1000) | list }}' }\n"
    ),
    "include-all": _plan(
        f"{HEAD}include = [{_quoted('i', '.toml', 40)}]\n",
        **{f"i{n}_toml": f"{HEAD}include = {[f'i{m}.toml' for m in range(40) if m != n]}\n" for n in range(40)},
    ),
    "include-chain": _plan(
        f"{HEAD}include = ['i0.toml']\n", **{f"i{n}_toml": f"{HEAD}include = ['i{n + 1}.toml']\n" for n in range(80)}
    ),
    "include-itself": _plan(f"{HEAD}include = ['build.toml', './build.toml', 'x/../build.toml']\n"),
    "include-same": _plan(f"{HEAD}include = [{(_INCLUDED + ',') * 20_000}]\n", i_toml=f"{HEAD}x = [{'1,' * 9999}]\n"),
    "include-sizes": _plan(
        f"{HEAD}include = [{_quoted('i', '.toml', 20)}]\n",
        **{f"i{n}_toml": f"{HEAD}#{'a' * 900_000}\n" for n in range(20)},
    ),
    "pattern": _plan(f"{HEAD}[variables.a]\ndefault = '{'a' * 50_000}!'\npattern = '^(a+)+$'\n[targets.web]\n"),
    "pattern-size": _plan(f"{HEAD}[variables.a]\ndefault = 'a'\npattern = '{'(a{1,1000}){1,1000}'}'\n[targets.web]\n"),
    "pattern-nested": _plan(f"{HEAD}[variables.a]\ndefault = 'a'\npattern = '{'(' * 20_000}'\n[targets.web]\n"),
}

# --- characters and names ---------------------------------------------------------------------------------------------

_NAMES = {
    "escape": "\\u001b]0;title\\u0007\\u001b[2J",
    "bidi": "\\u202egnp.exe\\u2066",
    "invisible": "web\\u200b\\u2060\\ufeff",
    "line": "a\\nerror: all is well\\r",
    "option": "--push",
    "dash": "-o",
    "path": "../../outside",
    "command": _COMMANDS,
    "shell": "$(touch /tmp/x);`id`",
    "wide": "\\U0001f600" * 2_000,
    "combining": "e" + "\\u0301" * 50_000,
    "empty": "",
    "long": "a" * 200_000,
}
NAMES: Mapping[str, Write] = {
    **{f"target-{name}": _plan(f'{HEAD}[targets."{text}"]\n') for name, text in _NAMES.items()},
    **{
        f"builder-{name}": _plan(f'{WEB}builder = "x"\n[builders."{text}"]\nexternal = true\n')
        for name, text in _NAMES.items()
    },
    **{
        f"variable-{name}": _plan(f'{HEAD}[variables]\n"{text}" = "x"\n[targets.web]\n')
        for name, text in _NAMES.items()
    },
    **{
        f"value-{name}": _plan(
            f'{HEAD}[groups.default]\ntargets = ["web"]\ndescription = "{text}"\n'
            f'[targets.web]\ndescription = "{text}"\ncontext = "{text}"\n'
            f'tags = ["{text}"]\nlabels."{text}x" = "{text}"\n'
            f'target = "{text}"\nplatforms = ["{text}"]\noutput = ["{text}"]\n'
        )
        for name, text in _NAMES.items()
    },
    "syntax-commands": _plan(f"{HEAD}   {_COMMANDS}\n"),
    "syntax-control": _with("", _bytes("build.toml", b"version = 1\nx = '\x1b[2J\x07'\n")),
    "not-unicode": _with("", _bytes("build.toml", b"version = 1\nx = '\xff\xfe'\n")),
    "nul": _with("", _bytes("build.toml", b"version = 1\n\0")),
    "utf-16": _with("", _bytes("build.toml", "version = 1".encode("utf-16"))),
    "surrogate": _plan(f'{WEB}description = "\\ud800"\n'),
    "environment-name": _plan(
        f'{HEAD}[variables.a]\ndefault = "x"\nenv = "TOKEN\\u0000="\n[targets.web]\nlabels.x = "{{{{ a }}}}"\n'
    ),
}

# --- git, and folders of mpbake and buildx ----------------------------------------------------------------------------

_GIT = f"{WEB}labels.a = '{{{{ git.commit }}}}{{{{ git.dirty }}}}{{{{ git.tag }}}}{{{{ git.branch }}}}'\n"
_CONFIGURATIONS = {
    "fsmonitor": "[core]\nfsmonitor = PROGRAM\n",
    "hooks": "[core]\nhooksPath = FOLDER\n",
    "filter": '[filter "x"]\nclean = PROGRAM\nsmudge = PROGRAM\nprocess = PROGRAM\nrequired = true\n',
    "unnamed-filter": '[filter ""]\nclean = PROGRAM\nprocess = PROGRAM\n',
    "textconv": '[diff "x"]\ntextconv = PROGRAM\ncommand = PROGRAM\n',
    "external-diff": "[diff]\nexternal = PROGRAM\n",
    "ssh": '[core]\nsshCommand = PROGRAM\ngitProxy = PROGRAM\n[remote "o"]\nurl = ext::PROGRAM\npromisor = true\n',
    "pager": "[core]\npager = PROGRAM\neditor = PROGRAM\naskPass = PROGRAM\n[pager]\nstatus = PROGRAM\n",
    "credential": "[credential]\nhelper = !PROGRAM\n",
    "alias": "[alias]\nstatus = !PROGRAM\nconfig = !PROGRAM\nrev-parse = !PROGRAM\n",
    "gpg": "[gpg]\nprogram = PROGRAM\n[log]\nshowSignature = true\n",
    "include": "[include]\npath = more\n",
    "include-if": '[includeIf "gitdir:**"]\npath = more\n',
    "work-tree": "[core]\nworktree = OUTSIDE\n",
}


def _repository(folder: Path, configuration: str) -> None:
    """Make `folder` a git repository with one commit, and then with a hostile configuration."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "x"]):
        subprocess.run(["git", *command], cwd=folder, env=environment, check=True, capture_output=True)
    program = _program(folder / ".git/x/program")
    for hook in ("post-index-change", "fsmonitor-watchman", "pre-auto-gc", "reference-transaction"):
        _program(folder / ".git/hooks" / hook)
    values = {"PROGRAM": str(program), "FOLDER": str(folder / ".git/hooks"), "OUTSIDE": str(folder.parent / "outside")}
    more = f"[core]\nfsmonitor = {program}\n"
    for name, value in values.items():
        configuration = configuration.replace(name, value)
    (folder / ".git/more").write_text(more)
    with (folder / ".git/config").open("a") as file:
        file.write(configuration)
    (folder / "Dockerfile").write_text("FROM changed\n")


def _git(configuration: str) -> Write:
    def write(folder: Path) -> None:
        _plan(_GIT)(folder)
        (folder / ".gitattributes").write_text("* filter=x diff=x\n")
        (folder / "docker").write_text("")
        _repository(folder, configuration)

    return write


def _programs(folder: Path) -> None:
    """Write programs with the names of all programs that mpbake starts."""
    for name in ("git", "docker", "docker-buildx", "kubectl", "ssh", "buildctl", "sh"):
        _program(folder / "bin" / name).rename(folder / name)


def _state(folder: Path) -> None:
    state = folder / ".mpbake"
    (state / "nodes/x/instances").mkdir(parents=True)
    (state / "runs/20240101T000000-99999999999999999").mkdir(parents=True)
    images = {
        "tags": ["evil.example/x:1"],
        "digest": "",
        "platforms": [],
        "labels": {},
        "annotations": [],
        "attestations": [],
    }
    (state / "published.json").write_text(json.dumps({"format": 1, "targets": {"web": images}}))
    (state / "durations.json").write_text('{"format": 1, "durations": {"web": {"linux/amd64": [1e999]}}}')
    (state / "lock").symlink_to("../../outside/npmrc")


def _deep_state(folder: Path) -> None:
    (folder / ".mpbake").mkdir()
    (folder / ".mpbake/durations.json").write_text("[" * 100_000)
    os.mkfifo(folder / ".mpbake/published.json")


FOLDERS: Mapping[str, Write] = {
    **{f"git-{name}": _git(text) for name, text in _CONFIGURATIONS.items()},
    "git-is-a-file": _with(_GIT, _bytes(".git", b"gitdir: ../outside/.git\n")),
    "git-is-a-link": _with(_GIT, _link(".git", "../outside")),
    "git-is-a-pipe": _with(_GIT, _special(".git", "pipe")),
    "git-is-bare": _with(
        _GIT,
        _bytes("HEAD", b"ref: refs/heads/x\n"),
        _bytes("config", b"[core]\nbare = true\nfsmonitor = ./docker\n"),
        lambda folder: (folder / "objects").mkdir(),
        lambda folder: (folder / "refs").mkdir(),
    ),
    "programs": _with(_GIT, _programs),
    "state": _with(WEB, _state),
    "deep-state": _with(WEB, _deep_state),
    "state-is-a-link": _with(WEB, _link(".mpbake", "../outside")),
    "external-up": _plan(f"{WEB}builder = 'x'\n[builders.'../../../outside/npmrc']\nexternal = true\n"),
    "external-dots": _plan(f"{WEB}builder = '..'\n[builders.'..']\nexternal = true\n"),
    "external-absolute": _plan(f"{WEB}builder = '/etc/passwd'\n[builders.'/etc/passwd']\nexternal = true\n"),
    "other-plans": _plan(WEB, mpbake_toml="version = 1\n[", bake_toml="x"),
}

CHECKOUTS: Mapping[str, Write] = {
    f"{group}-{name}": write
    for group, checkouts in {
        "reading": READING,
        "templates": TEMPLATES,
        "sizes": SIZES,
        "names": NAMES,
        "folders": FOLDERS,
    }.items()
    for name, write in checkouts.items()
}
"""All hostile checkouts by name."""
