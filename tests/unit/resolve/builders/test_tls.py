"""Nodes without TLS, and the drivers and endpoints that support TLS."""

from __future__ import annotations

import pytest

from tests.unit.plans import problems_of_text, resolve_text, text

INSECURE = "set insecure = true: then everyone who reaches the port controls the"


@pytest.mark.parametrize(
    ("driver", "remedy"),
    [
        ("remote", f"set tls = {{ ca, cert, key }}, or {INSECURE} node"),
        ("docker-container", f"set tls = {{ ca, cert, key }}, or {INSECURE} node"),
        ("docker", f"use a docker context with TLS or ssh://, or {INSECURE} engine"),
    ],
)
def test_another_machine_needs_tls(driver: str, remedy: str) -> None:
    assert problems_of_text(f"""
        [builders.x]
        driver = "{driver}"
        nodes.far.endpoint = "tcp://10.0.0.5:1234"
        """) == text(f"""
        build.toml:4: builders.x.nodes.far.endpoint: is on another machine without TLS
            nodes.far.endpoint = "tcp://10.0.0.5:1234"
          = {remedy}
        """)


@pytest.mark.parametrize(
    "node",
    [
        '{ endpoint = "tcp://10.0.0.5:1234", insecure = true }',
        '{ endpoint = "tcp://10.0.0.5:1234", tls = { ca = "ca.crt" } }',
        '{ endpoint = "tcp://127.0.0.1:1234" }',
        '{ endpoint = "tcp://127.9.9.9:1234" }',
        '{ endpoint = "tcp://[::1]:1234" }',
        '{ endpoint = "tcp://localhost" }',
        '{ endpoint = "unix:///run/buildkitd.sock" }',
    ],
)
def test_what_is_safe_or_said_to_be_accepted(node: str) -> None:
    resolve_text(f"\n[builders.x]\ndriver = 'remote'\nnodes.y = {node}")


@pytest.mark.parametrize("endpoint", ["tcp://localhost.example.com", "tcp://0.0.0.0", "tcp://127.example.com"])
def test_what_only_looks_like_this_machine(endpoint: str) -> None:
    assert "without TLS" in problems_of_text(f"\n[builders.x]\ndriver = 'remote'\nnodes.y.endpoint = '{endpoint}'")


@pytest.mark.parametrize(
    ("driver", "node", "key", "problem"),
    [
        (
            "remote",
            '{ endpoint = "unix:///x", tls = { ca = "a" } }',
            "tls",
            "tls is supported only for tcp:// endpoints\n  = remove tls",
        ),
        (
            "docker-container",
            '{ endpoint = "ssh://x", tls = { ca = "a" } }',
            "tls",
            "tls is supported only for tcp:// endpoints\n  = remove tls",
        ),
        (
            "docker-container",
            '{ endpoint = "tcp://x", tls = { ca = "a", servername = "y" } }',
            "tls.servername",
            (
                "servername is not supported for Docker endpoints\n"
                "  = use a host name in the endpoint that the engine's certificate contains"
            ),
        ),
    ],
)
def test_tls_where_it_does_not_belong(driver: str, node: str, key: str, problem: str) -> None:
    message, _, hint = problem.partition("\n")
    assert problems_of_text(f"\n[builders.x]\ndriver = '{driver}'\nnodes.y = {node}") == (
        f"build.toml:4: builders.x.nodes.y.{key}: {message}\n    nodes.y = {node}\n{hint}"
    )
