"""JSON Schemas for manifests, indexes and configs, after the OCI image specification 1.1.

They are written by hand after the tables of properties in `descriptor.md`, `image-index.md`, `manifest.md` and
`config.md`. They also contain the properties that an image with attestations uses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jsonschema import Draft7Validator

if TYPE_CHECKING:
    from collections.abc import Mapping

_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
_MEDIA_TYPE = {
    "type": "string",
    "pattern": r"^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}$",
}
_DIGEST = {"type": "string", "pattern": r"^sha256:[a-f0-9]{64}$"}
_DESCRIPTOR: dict[str, Any] = {
    "type": "object",
    "required": ["mediaType", "digest", "size"],
    "properties": {
        "mediaType": _MEDIA_TYPE,
        "digest": _DIGEST,
        "size": {"type": "integer", "minimum": 0},
        "urls": {"type": "array", "items": {"type": "string"}},
        "annotations": _TEXTS,
        "artifactType": _MEDIA_TYPE,
        "platform": {
            "type": "object",
            "required": ["architecture", "os"],
            "properties": {
                "architecture": {"type": "string"},
                "os": {"type": "string"},
                "os.version": {"type": "string"},
                "os.features": {"type": "array", "items": {"type": "string"}},
                "variant": {"type": "string"},
            },
            "additionalProperties": False,
        },
    },
}


def _document(media_type: str, required: list[str], **properties: Any) -> Draft7Validator:
    common = {"schemaVersion": {"const": 2}, "mediaType": {"const": media_type}, "annotations": _TEXTS}
    return Draft7Validator(
        {
            "type": "object",
            "required": ["schemaVersion", *required],
            "properties": {**common, "artifactType": _MEDIA_TYPE, "subject": _DESCRIPTOR, **properties},
            "additionalProperties": False,
        }
    )


INDEX = _document(
    "application/vnd.oci.image.index.v1+json", ["manifests"], manifests={"type": "array", "items": _DESCRIPTOR}
)
MANIFEST = _document(
    "application/vnd.oci.image.manifest.v1+json",
    ["config", "layers"],
    config=_DESCRIPTOR,
    layers={"type": "array", "items": _DESCRIPTOR, "minItems": 1},
)
CONFIG = Draft7Validator(
    {
        "type": "object",
        "required": ["architecture", "os", "rootfs"],
        "properties": {
            "created": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"},
            "architecture": {"type": "string"},
            "os": {"type": "string"},
            "variant": {"type": "string"},
            "config": {
                "type": "object",
                "properties": {
                    "Env": {"type": "array", "items": {"type": "string", "pattern": "="}},
                    "Entrypoint": {"type": ["array", "null"], "items": {"type": "string"}},
                    "Cmd": {"type": ["array", "null"], "items": {"type": "string"}},
                    "WorkingDir": {"type": "string"},
                    "Labels": {"anyOf": [_TEXTS, {"type": "null"}]},
                },
            },
            "rootfs": {
                "type": "object",
                "required": ["type", "diff_ids"],
                "properties": {"type": {"const": "layers"}, "diff_ids": {"type": "array", "items": _DIGEST}},
            },
            "history": {"type": "array", "items": {"type": "object"}},
        },
    }
)


def problems(schema: Draft7Validator, document: Mapping[str, Any]) -> list[str]:
    """Return the errors of a document. The list is empty if the document conforms to the specification."""
    return [f"{error.json_path}: {error.message}" for error in schema.iter_errors(document)]
