"""Kubernetes objects in protobuf, as buildx sends them, converted to JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from testbed.protobuf import fields

from tests.testbed_parts.kubernetes.objects import bad_request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.testbed_parts.kubernetes.objects import Object

_MAGIC = b"k8s\x00"

# The fields of each message in the objects of a builder: number, name in JSON, and type. The type is a scalar below or
# another message; "*" after it marks a list. "?" marks a field whose zero differs from its absence. If a message has no
# name, its fields belong to the enclosing message.
_MESSAGES: Mapping[str, Mapping[int, tuple[str, str]]] = {
    "Unknown": {1: ("", "TypeMeta"), 2: ("raw", "bytes")},
    "TypeMeta": {1: ("apiVersion", "text"), 2: ("kind", "text")},
    "Deployment": {1: ("metadata", "ObjectMeta"), 2: ("spec", "DeploymentSpec")},
    "ConfigMap": {1: ("metadata", "ObjectMeta"), 2: ("data", "texts")},
    "ObjectMeta": {
        1: ("name", "text"),
        3: ("namespace", "text"),
        11: ("labels", "texts"),
        12: ("annotations", "texts"),
    },
    "DeploymentSpec": {
        1: ("replicas", "?int"),
        2: ("selector", "LabelSelector"),
        3: ("template", "PodTemplateSpec"),
    },
    "StatefulSet": {1: ("metadata", "ObjectMeta"), 2: ("spec", "StatefulSetSpec")},
    "StatefulSetSpec": {
        1: ("replicas", "?int"),
        2: ("selector", "LabelSelector"),
        3: ("template", "PodTemplateSpec"),
        4: ("volumeClaimTemplates", "*PersistentVolumeClaim"),
        5: ("serviceName", "text"),
        6: ("podManagementPolicy", "text"),
    },
    "PersistentVolumeClaim": {1: ("metadata", "ObjectMeta"), 2: ("spec", "ClaimSpec")},
    "ClaimSpec": {1: ("accessModes", "*text"), 2: ("resources", "Resources")},
    "LabelSelector": {1: ("matchLabels", "texts")},
    "PodTemplateSpec": {1: ("metadata", "ObjectMeta"), 2: ("spec", "PodSpec")},
    "PodSpec": {1: ("volumes", "*Volume"), 2: ("containers", "*Container"), 7: ("nodeSelector", "texts")},
    "Volume": {1: ("name", "text"), 2: ("", "VolumeSource")},
    "VolumeSource": {19: ("configMap", "ConfigMapSource")},
    "ConfigMapSource": {1: ("", "Reference")},
    "Reference": {1: ("name", "text")},
    "Container": {
        1: ("name", "text"),
        2: ("image", "text"),
        4: ("args", "*text"),
        8: ("resources", "Resources"),
        9: ("volumeMounts", "*Mount"),
        10: ("livenessProbe", "Probe"),
        11: ("readinessProbe", "Probe"),
        15: ("securityContext", "SecurityContext"),
    },
    "Resources": {1: ("limits", "quantities"), 2: ("requests", "quantities")},
    "Quantity": {1: ("", "text")},
    "Mount": {1: ("name", "text"), 3: ("mountPath", "text")},
    "Probe": {
        1: ("", "ProbeHandler"),
        2: ("initialDelaySeconds", "int"),
        3: ("timeoutSeconds", "int"),
        4: ("periodSeconds", "int"),
        5: ("successThreshold", "int"),
        6: ("failureThreshold", "int"),
    },
    "ProbeHandler": {1: ("exec", "ExecAction")},
    "ExecAction": {1: ("command", "*text")},
    "SecurityContext": {2: ("privileged", "?bool")},
}


def decode(body: bytes) -> Object:
    """Return the object in the body of a request. Raise ApiError if the object has unknown fields."""
    if not body.startswith(_MAGIC):
        raise bad_request("the body of the request is not an object in protobuf")
    try:
        around = _message("Unknown", body[len(_MAGIC) :])
        kind = {"apiVersion": around["apiVersion"], "kind": around["kind"]}
        return {**kind, **_message(around["kind"], around["raw"])}
    except (KeyError, ValueError, IndexError) as error:
        raise bad_request(f"the body of the request can not be read: {error!r}") from error


def _message(name: str, message: bytes) -> Object:
    known = _MESSAGES[name]
    decoded: Object = {}
    for number, raw in fields(message):
        if number not in known:
            if not _is_zero(raw):
                raise bad_request(f"field {number} of a {name} is unknown here")
            continue
        key, kind = known[number]
        _add(decoded, key, kind, raw)
    return decoded


def _add(decoded: Object, key: str, kind: str, raw: int | bytes) -> None:
    """Add the value of a field to the object."""
    value = _value(kind.lstrip("*?"), raw)
    if kind.startswith("*"):
        decoded.setdefault(key, []).append(value)
    elif isinstance(value, dict) and (not key or key in decoded):
        (decoded[key] if key else decoded).update(value)
    elif value or kind.startswith("?"):
        decoded[key] = value


def _value(kind: str, raw: int | bytes) -> Any:
    if isinstance(raw, int):
        return bool(raw) if kind == "bool" else raw
    match kind:
        case "text":
            return raw.decode()
        case "bytes":
            return raw
        case "texts":
            return _entry(raw, "text")
        case "quantities":
            return _entry(raw, "Quantity")
        case "Quantity":
            return _message(kind, raw).get("", "")
    return _message(kind, raw)


def _entry(raw: bytes, kind: str) -> Object:
    """Return one entry of a map. Protobuf omits an empty key or value."""
    halves = dict(fields(raw))
    return {_value("text", halves.get(1, b"")): _value(kind, halves.get(2, b""))}


def _is_zero(raw: int | bytes) -> bool:
    """Return whether the field is empty: a zero, or a message of empty fields."""
    if isinstance(raw, int):
        return raw == 0
    try:
        return all(_is_zero(value) for _, value in fields(raw))
    except (ValueError, IndexError):
        return False
