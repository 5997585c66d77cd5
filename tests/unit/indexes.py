"""Indexes and images, as buildx prints them."""

from __future__ import annotations

from typing import Any


def config(architecture: str, variant: str = "", system: str = "linux") -> dict[str, Any]:
    """Return the fields of an image's config that mpbake reads, in the order in which buildx prints them."""
    config = {"created": "2026-11-24T13:08:45.412776815Z", "architecture": architecture, "os": system}
    return config | ({"variant": variant} if variant else {}) | {"config": {"Cmd": ["sh"]}, "history": [{}]}


def entry(architecture: str, variant: str = "", system: str = "linux") -> dict[str, Any]:
    platform = {"architecture": architecture, "os": system} | ({"variant": variant} if variant else {})
    return {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": f"sha256:{architecture}",
        "platform": platform,
    }


def attestation(of: str = "amd64") -> dict[str, Any]:
    marks = {"vnd.docker.reference.digest": f"sha256:{of}", "vnd.docker.reference.type": "attestation-manifest"}
    return entry("unknown", system="unknown") | {"annotations": marks}


def index(*entries: dict[str, Any], image: object, digest: str = "sha256:1") -> dict[str, Any]:
    manifest = {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": digest, "manifests": list(entries)}
    return {"name": "r/web:1", "manifest": manifest, "image": image}


MANY = index(
    entry("amd64"),
    entry("arm64", "v8"),
    attestation("amd64"),
    attestation("arm64"),
    image={"linux/amd64": config("amd64"), "linux/arm64": config("arm64", "v8")},
)
ONE = index(entry("amd64"), attestation(), image=config("amd64"))
"""An index of one image with its attestations. For a single image, buildx prints only its config."""
