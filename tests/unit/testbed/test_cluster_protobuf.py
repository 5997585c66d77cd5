"""Kubernetes objects in protobuf, converted to JSON. An unknown field is an error, so that nothing is lost."""

from __future__ import annotations

import pytest

from tests.testbed_parts.kubernetes.objects import ApiError
from tests.testbed_parts.kubernetes.protobuf import decode


def _bytes(number: int, *parts: bytes | str) -> bytes:
    value = b"".join(part.encode() if isinstance(part, str) else part for part in parts)
    assert len(value) < 128
    return (number << 3 | 2).to_bytes(1, "big") + bytes((len(value),)) + value


def _number(number: int, value: int) -> bytes:
    return bytes((number << 3, value))


def _body(kind: str, *parts: bytes) -> bytes:
    return b"k8s\x00" + _bytes(1, _bytes(1, "apps/v1"), _bytes(2, kind)) + _bytes(2, *parts)


def test_deployment() -> None:
    container = _bytes(2, _bytes(1, "main"), _bytes(4, "--a"), _bytes(4, "--b"), _bytes(5, ""))
    limits = _bytes(2, _bytes(8, _bytes(1, _bytes(1, "cpu"), _bytes(2, _bytes(1, "500m")))))
    spec = _bytes(2, _number(1, 0), _number(5, 0), _bytes(3, _bytes(2, container, limits)))
    labels = (_bytes(11, _bytes(1, "app"), _bytes(2, "x")), _bytes(11, _bytes(1, "empty")))
    metadata = _bytes(1, _bytes(1, "some"), *labels, _bytes(8))

    assert decode(_body("Deployment", metadata, spec, _bytes(3, _number(1, 0)))) == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "some", "labels": {"app": "x", "empty": ""}},
        "spec": {
            "replicas": 0,
            "template": {
                "spec": {
                    "containers": [
                        {"name": "main", "args": ["--a", "--b"]},
                        {"resources": {"limits": {"cpu": "500m"}}},
                    ]
                }
            },
        },
    }


def test_unknown_field_is_refused_when_it_says_something() -> None:
    assert decode(_body("ConfigMap", _bytes(9, _bytes(1)))) == {"apiVersion": "apps/v1", "kind": "ConfigMap"}
    with pytest.raises(ApiError, match="field 9 of a ConfigMap is unknown here"):
        decode(_body("ConfigMap", _bytes(9, _bytes(1, "text"))))


@pytest.mark.parametrize("body", [b"", b"{}", b"k8s\x00", b"k8s\x00\x12\x7f", _body("Secret")])
def test_what_can_not_be_read_is_refused(body: bytes) -> None:
    with pytest.raises(ApiError, match="the body of the request"):
        decode(body)
