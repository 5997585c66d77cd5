"""Replace the old names of renamed targets, builders and nodes in a plan document."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.review.document.plan_document import Document

_LINK = "target:"
_CACHE_OF = re.compile(r'(the cache of )"(.*)"(?=, which it links to$)')


@dataclass(frozen=True, kw_only=True, slots=True)
class NewNames:
    """The new names of renamed targets and builders, and the new ids of nodes, by the old ones."""

    targets: Mapping[str, str]
    builders: Mapping[str, str]
    nodes: Mapping[str, str]

    def in_document(self, document: Document) -> Document:
        """Return the document with the new names. Warnings are unchanged."""
        if not (self.targets or self.builders or self.nodes):
            return document
        keys = {step["key"]: self._key(step) for step in document["steps"]}
        return {
            **document,
            "grants": [self._grant(grant) for grant in document["grants"]],
            "builders": [self._builder(builder) for builder in document["builders"]],
            "targets": [self._target(target) for target in document["targets"]],
            "steps": [self._step(step, keys) for step in document["steps"]],
        }

    def _target_name(self, name: str) -> str:
        return self.targets.get(name, name)

    def _node_id(self, node: str) -> str:
        return self.nodes.get(node, node)

    def _grant(self, grant: Document) -> Document:
        return {**grant, "users": [self._user(user) for user in grant["users"]]}

    def _user(self, user: str) -> str:
        """Return the user of a grant, such as `web.secret` or `builder release`, with the new name."""
        word, blank, builder = user.partition(" ")
        if blank:
            return f"{word} {self.builders.get(builder, builder)}"
        name, dot, attribute = user.rpartition(".")
        return f"{self._target_name(name)}{dot}{attribute}"

    def _builder(self, builder: Document) -> Document:
        nodes = [{**node, "id": self._node_id(node["id"])} for node in builder["nodes"]]
        return {**builder, "name": self.builders.get(builder["name"], builder["name"]), "nodes": nodes}

    def _target(self, target: Document) -> Document:
        return {
            **self._variant(target),
            "name": self._target_name(target["name"]),
            "builder": self.builders.get(target["builder"], target["builder"]),
            "needs": [self._target_name(name) for name in target["needs"]],
            "variants": {platform: self._variant(variant) for platform, variant in target["variants"].items()},
        }

    def _variant(self, variant: Document) -> Document:
        return {**variant, "contexts": {name: self._context(value) for name, value in variant["contexts"].items()}}

    def _context(self, value: str) -> str:
        return f"{_LINK}{self._target_name(value.removeprefix(_LINK))}" if value.startswith(_LINK) else value

    def _step(self, step: Document, keys: Mapping[str, str]) -> Document:
        renamed = {**step, "key": keys[step["key"]], "after": [keys.get(key, key) for key in step["after"]]}
        if "target" in step:
            renamed["target"] = self._target_name(step["target"])
        if "node" in step:
            renamed["node"] = self._node_id(step["node"])
        for name in ("nodes", "spare"):
            if name in step:
                renamed[name] = [self._node_id(node) for node in step[name]]
        if step["kind"] == "build":
            renamed["platforms"] = [
                {**placed, "why": self._reason(placed.get("why", ""))} for placed in step["platforms"]
            ]
        return renamed

    def _reason(self, reason: str) -> str:
        """Return the reason for a placement, such as `release/arm declares it`, with the new names."""
        node, blank, rest = reason.partition(" ")
        named = _CACHE_OF.sub(lambda match: f'{match[1]}"{self._target_name(match[2])}"', rest)
        return f"{self._node_id(node)}{blank}{named}"

    def _key(self, step: Document) -> str:
        """Return the key of a step with the new names: `build web linux/amd64 on release/amd64`."""
        key: str = step["key"]
        subject = step.get("target") or step.get("node", "")
        new_subject = self._target_name(subject) if "target" in step else self._node_id(subject)
        start = f"{step['kind']} {subject}"
        if key.startswith(start):
            key = f"{step['kind']} {new_subject}{key.removeprefix(start)}"
        for node in step.get("nodes", ())[:1]:
            head, on, tail = key.rpartition(f" on {node}")
            key = f"{head} on {self._node_id(node)}{tail}" if on else key
        return key
