"""The JSON Schema of the plan document, for programs that read plans and saved plans. Pure.

Every field is described here once. Fields may be added to a document without a new format, so the schema accepts
fields that it does not know.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mpbake.review.document.plan_document import DOCUMENT_FORMAT

if TYPE_CHECKING:
    from mpbake.model.steps import StepVerb

Schema = dict[str, Any]

_DIALECT = "http://json-schema.org/draft-07/schema#"
_HEX_64 = "^[0-9a-f]{64}$"


def document_schema_text() -> str:
    """Return the text of the schema file: the same bytes each time."""
    return json.dumps(document_schema(), indent=2, ensure_ascii=False) + "\n"


def document_schema() -> Schema:
    """Return the schema of plan documents of the current format."""
    about = "A plan as `mpbake plan --format json` prints it: everything that a run would do."
    return {
        "$schema": _DIALECT,
        "title": "mpbake plan",
        **_object(about, _FIELDS, _OPTIONAL),
        "definitions": _DEFINITIONS,
    }


# --- kinds of values --------------------------------------------------------------------------------------------------


def _object(about: str, fields: Schema, optional: Schema | None = None) -> Schema:
    return {
        "description": about,
        "type": "object",
        "required": list(fields),
        "properties": {**fields, **(optional or {})},
        "additionalProperties": True,
    }


def _text(about: str, **keywords: Any) -> Schema:
    return {"description": about, "type": "string", **keywords}


def _choice(about: str, *values: str) -> Schema:
    return _text(about, enum=list(values))


def _flag(about: str) -> Schema:
    return {"description": about, "type": "boolean"}


def _whole(about: str) -> Schema:
    return {"description": about, "type": "integer", "minimum": 0}


def _seconds(about: str) -> Schema:
    return {"description": about, "type": "number", "minimum": 0}


def _texts(about: str) -> Schema:
    return {"description": about, "type": "array", "items": {"type": "string"}}


def _map(about: str, values: Schema | None = None) -> Schema:
    return {
        "description": about,
        "type": "object",
        "additionalProperties": {"type": "string"} if values is None else values,
    }


def _list(about: str, definition: str) -> Schema:
    return {"description": about, "type": "array", "items": {"$ref": f"#/definitions/{definition}"}}


def _one(about: str, definition: str) -> Schema:
    """Return a field that holds an object. Draft 7 ignores keywords beside `$ref`."""
    return {"description": about, "allOf": [{"$ref": f"#/definitions/{definition}"}]}


def _one_or_empty(about: str, definition: str) -> Schema:
    return {
        "description": about,
        "anyOf": [{"type": "object", "maxProperties": 0}, {"$ref": f"#/definitions/{definition}"}],
    }


# --- fields -----------------------------------------------------------------------------------------------------------

_VARIANT = {
    "args": _map("Build arguments."),
    "labels": _map("Labels of the image."),
    "contexts": _map("Named contexts; `target:NAME` is another target of this plan."),
    "attributes": _map("All other attributes that BuildKit gets, under bake's names.", {}),
    "dockerfile": _one("The Dockerfile; both fields are empty for an inline or remote one.", "dockerfile"),
}

_FIELDS: Schema = {
    "format": {"description": "The version of this format.", "const": DOCUMENT_FORMAT},
    "id": _text("The plan id: the SHA-256 of everything that says what a run would do.", pattern=_HEX_64),
    "grants": _list("The rights on this machine that the plan needs.", "grant"),
    "registries": _list("The registries that the plan names, sorted.", "registry"),
    "builders": _list("The builders that are used.", "builder"),
    "targets": _list("The targets of the run, then those that only other targets link to.", "target"),
    "steps": _list("The steps, in a possible order of execution.", "step"),
    "warnings": _texts("Warnings about probable mistakes."),
}

_OPTIONAL: Schema = {
    "probe": _one("The reports of nodes and registries; only with `--probe`. Not part of the id.", "probe"),
    "expected": _one("The expected duration; only if earlier runs are recorded. Not part of the id.", "expected"),
    "request": _one("The request of the command line; only in a saved plan. Not part of the id.", "request"),
    "inputs": _one("The states of the files; only in a saved plan. Not part of the id.", "inputs"),
}

_STEP_FIELDS: dict[StepVerb, Schema] = {
    "bootstrap": {"node": _text("The id of the node.")},
    "build": {
        "target": _text("The name of the target."),
        "nodes": _texts("The ids of the candidate nodes, the preferred node first."),
        "platforms": _list("The platforms; empty: the platform of the node.", "placed-platform"),
        "delivery": _choice("`untagged`: pushed without a tag. `keep`: not pushed.", "untagged", "keep"),
        "load": _choice("Which platforms are loaded into the engine in use.", "", "all", "engine"),
        "shared": _flag("The build only fills a node's cache, for targets that link to this target."),
        "spare": _texts("The ids of spare nodes, which build the piece with emulation if that is faster."),
    },
    "join": {
        "target": _text("The name of the target."),
        "outputs": _texts("Archives that mpbake joins from those of the build pieces."),
    },
    "check": {
        "target": _text("The name of the target."),
        "platforms": _texts("The checked platforms; empty: the platform of the node."),
        "run": _texts("The command that runs in the image; empty if the check builds a stage."),
        "stage": _text("The stage that the check builds; empty if the check runs a command."),
    },
    "publish": {
        "target": _text("The name of the target."),
        "tags": _texts("The tags that this step moves."),
        "uploads": _texts("Patterns of the upload tags that stay in the registry, with the `docker` driver."),
        "names": _texts("The tags that the image gets in the engine's own image store, with the `docker` driver."),
        "together": _flag("The tags move only when every target of the run is built and checked."),
    },
    "verify": {
        "target": _text("The name of the target."),
        "platforms": _texts("The platforms that the registry must serve; empty: the platform of the node."),
        "tags": _texts("The tags that are verified."),
    },
}


def _step() -> Schema:
    """Return the schema of a step. The fields depend on the kind of the step."""
    common = {
        "key": _text("The name of the step, unique in a plan."),
        "kind": _choice("What the step does.", *_STEP_FIELDS),
        "after": _texts("The keys of the steps that must end before."),
    }
    kinds = [
        {"if": {"properties": {"kind": {"const": kind}}}, "then": _object(f"A step of the kind `{kind}`.", fields)}
        for kind, fields in _STEP_FIELDS.items()
    ]
    return {**_object("One step of the run.", common), "allOf": kinds}


_TARGET = {
    "name": _text("The name of the target."),
    "description": _text("The description in the plan."),
    "builder": _text("The name of the builder."),
    "platforms": _texts("The platforms; empty: the native platform of the builder's first node."),
    "tags": _texts("The names of the image."),
    **_VARIANT,
    "variants": _map("The values of each platform, if platforms differ.", {"$ref": "#/definitions/variant"}),
    "push": _flag("All tags are pushed."),
    "push_options": _map("Further options of the push, such as `compression`."),
    "load": _flag("The image is loaded into the engine in use."),
    "outputs": _texts("Further destinations of the result."),
    "needs": _texts("Targets that must be built, and if pushed also verified, before this target."),
    "checks": _list("The checks of the image.", "check"),
    "timeout": _seconds("The time limit of a build in seconds; 0: none."),
    "stall_timeout": _seconds("Seconds without progress after which a silent node counts as lost; 0: never."),
    "retries": _whole("How often a failed build is tried again."),
    "only_linked": _flag("The target is built only because other targets link to it."),
}

_NODE = {
    "id": _text("`BUILDER/NODE`, unique in a plan."),
    "driver": _text("The driver of the node."),
    "endpoint": _text("A URL or the name of a docker context; empty: the engine in use."),
    "platforms": _texts("The declared platforms; empty: those that the node reports."),
    "slots": _whole("How many build pieces the node builds at once; 0: the plan does not set it."),
    "required": _flag("The loss of the node is an error, even if an equal node is available."),
    "insecure": _flag("The plan allows a connection without TLS."),
    "tls": _map("The paths of the certificates (`ca`, `cert`, `key`), and `servername`."),
    "options": _map("The options of the driver, under buildx's names."),
    "flags": _texts("The flags of buildkitd."),
    "config": _text("The text of buildkitd.toml; empty: none in the plan."),
    "config_file": _text("The path of buildkitd.toml; empty: none."),
    "boot_timeout": _seconds("Seconds to start and answer."),
    "certificate_days": _whole("mpbake warns this many days before a certificate expires."),
    "deploy": _one_or_empty("Where `mpbake builders up` deploys BuildKit; empty: nowhere.", "deployment"),
}

_OF_SOME_NODES = {
    "buildx_name": _text("The name of the node in buildx; missing if the plan does not set it."),
    "config_sha256": _text(
        "The digest of the file `config_file`; empty if mpbake does not read the file.", pattern=f"^$|{_HEX_64}"
    ),
}

_DEPLOYMENT = {
    "host": _text("The Docker engine: a URL or the name of a docker context."),
    "container": _text("The name of the container."),
    "volume": _text("The name of the volume with the state."),
    "tls": _map("The paths of the server's certificates."),
    "port": _whole("The port that BuildKit listens on; 0: none."),
    "image": _text("The image of BuildKit."),
    "restart": _text("The restart policy of the container."),
    "rootless": _flag("BuildKit runs without privileges."),
}

_PROBE = {
    "nodes": _list("What nodes report.", "probed-node"),
    "changes": _list("The changes that make the builders match the plan.", "change"),
    "unclear": _list("Parts of builders whose state is unknown.", "unclear-part"),
    "tags": _list("The tags that the run moves, and where they point now.", "served-tag"),
    "warnings": _texts("Nodes that did not answer, or were not asked."),
}

_EXPECTED = {
    "seconds": _whole("The expected duration of the run, with the slots of its nodes."),
    "builds": _map(
        "The usual seconds of recorded builds, by the keys of their steps.", {"type": "integer", "minimum": 0}
    ),
    "unrecorded": _whole("The number of builds without a record."),
    "path": _texts("The critical path: the keys of its steps."),
}

_DEFINITIONS: Schema = {
    "grant": _object(
        "A right on this machine.",
        {
            "allow": _text("The value of `--allow` that grants the right."),
            "kind": _text("The kind of right, such as `fs.read`."),
            "value": _text("The value of the right, such as a path; empty for some kinds."),
            "users": _texts("The attributes that need the right."),
        },
    ),
    "registry": _object(
        "A registry that the plan names. Base images in Dockerfiles are not included.",
        {
            "name": _text("The host, with a port if it has one."),
            "uses": {
                "description": "The uses of the registry.",
                "type": "array",
                "items": {"enum": ["cache-from", "cache-to", "context", "push"]},
            },
        },
    ),
    "builder": _object(
        "A builder that is used.",
        {
            "name": _text("The name in the plan."),
            "driver": _text("The driver; `automatic`: mpbake chooses it when the run starts."),
            "external": _flag("An existing builder of buildx, which mpbake never changes."),
            "emulation": _choice("The policy for platforms that no node runs natively.", "forbid", "warn", "allow"),
            "emulators": _text("The image with which `mpbake builders up` installs emulators; empty: none."),
            "nodes": _list("The nodes that are used.", "node"),
        },
    ),
    "node": _object("A node of a builder, as declared.", _NODE, _OF_SOME_NODES),
    "deployment": _object("A BuildKit that mpbake deploys.", _DEPLOYMENT),
    "target": _object("A target with all its attributes.", _TARGET),
    "variant": _object("The values of a target for one platform.", _VARIANT),
    "dockerfile": _object(
        "A Dockerfile.",
        {
            "path": _text("The path, as in the plan."),
            "sha256": _text(
                "The digest of the content; empty if mpbake does not read the file.", pattern=f"^$|{_HEX_64}"
            ),
        },
    ),
    "check": _object(
        "A check that an image must pass.",
        {
            "run": _texts("A command that runs in the image; empty if the check builds a stage."),
            "target": _text("A stage of the Dockerfile; empty if the check runs a command."),
            "platforms": _texts("The checked platforms; empty: all platforms of the target."),
        },
    ),
    "step": _step(),
    "placed-platform": _object(
        "A platform of a build, and how the node builds it.",
        {
            "platform": _text("The platform, such as `linux/arm64`."),
            "how": _choice("`unknown`: only the engine knows.", "native", "emulated", "unknown"),
            "why": _text("Why the preferred node builds this platform."),
        },
    ),
    "probe": _object("The facts of a probe.", _PROBE),
    "probed-node": _object(
        "The report of a node.",
        {
            "id": _text("`BUILDER/NODE`."),
            "driver": _text("The driver that a run would use."),
            "status": _text("The status, such as `running`, `missing` or `unusable`."),
            "version": _text("The version of BuildKit; empty if the node did not report it."),
            "native": _texts("The platforms that the node runs natively."),
            "emulated": _texts("The platforms that the node emulates."),
            "trouble": _text("Why the node cannot be used; empty: no trouble."),
        },
    ),
    "change": _object(
        "A change of a builder.",
        {
            "builder": _text("The name of the builder."),
            "node": _text("The id of the node; empty for a change of the whole builder."),
            "action": _text("The action, such as `create` or `replace`."),
            "resource": _text("The kind of resource, such as `container`."),
            "name": _text("The name of the resource."),
            "reason": _text("The reason."),
            "differences": _texts("The differences between the actual and the declared state."),
        },
    ),
    "unclear-part": _object(
        "A part of a builder whose state is unknown.",
        {"builder": _text("The name of the builder."), "part": _text("The part.")},
    ),
    "served-tag": _object(
        "A tag that the run moves.",
        {
            "tag": _text("The tag."),
            "target": _text("The name of the target."),
            "state": _choice(
                "`new`: the tag does not exist yet. `unknown`: the registry does not say.", "new", "moves", "unknown"
            ),
            "digest": _text("The digest to which the tag points now; empty unless `state` is `moves`."),
            "trouble": _text("Why the state is unknown; else empty."),
        },
    ),
    "request": _object(
        "The request of the command line of `mpbake plan`.",
        {
            "files": _texts("The plan files, relative to the folder of the saved plan."),
            "names": _texts("The names of targets, groups and patterns."),
            "variables": _map("The variables of the plan that were set, as text."),
            "environment": _map("The environment variables that the plan read."),
            "settings": _texts("The values of `--set`."),
            "platforms": _texts("The values of `--platform`."),
            "builder": _text("The value of `--builder`; empty: not given."),
            "publish": _choice("The value of `--publish`; empty: not given.", "", "each", "together"),
            "push": {"description": "`--push` or `--no-push`; null: neither.", "type": ["boolean", "null"]},
            "load": _flag("Whether `--load` was given."),
            "no_cache": _flag("Whether `--no-cache` was given."),
            "pull": _flag("Whether `--pull` was given."),
            "probe": _flag("Whether `--probe` was given."),
        },
    ),
    "inputs": _object(
        "The states of the files that a plan was made from.",
        {
            "files": _list("The plan files.", "input-file"),
            "contexts": _list("The contexts in git repositories.", "input-context"),
        },
    ),
    "input-file": _object(
        "A plan file.",
        {"path": _text("The path."), "sha256": _text("The digest of the content.")},
    ),
    "input-context": _object(
        "A context in a git repository.",
        {
            "path": _text("The path."),
            "tree": _text("The id of the git tree."),
            "changes": _text("A digest of the changes since the commit."),
        },
    ),
    "expected": _object("The expected duration of a run, from earlier runs on this machine.", _EXPECTED),
}
