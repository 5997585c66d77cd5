"""Checks that a new resource can be made before the old resource of a node, and its cache, are removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.errors import ImageUnavailable
from mpbake.base.references import parse_reference
from mpbake.base.text import one_line
from mpbake.buildkit.registry.client import RequestFailed, repository_of
from mpbake.buildkit.registry.registries import Registries
from mpbake.model.node_resources import resource_word
from mpbake.model.plan import Builder

if TYPE_CHECKING:
    from mpbake.buildkit.builders.workspace import BuilderWorkspace
    from mpbake.buildkit.nodes.drivers.back_end import ResourceManager
    from mpbake.model.node_state import NodeResource
    from mpbake.model.plan import Node

_NOT_FOUND = 404


def check_replacement(workspace: BuilderWorkspace, node: Node, manager: ResourceManager, made: NodeResource) -> None:
    """Check that a new resource could replace `made`, the resource of `node`. Change nothing.

    Raises ImageUnavailable if the registry has no such image, UsageError and Unreachable.
    """
    manager.check_replacement(node)
    image = manager.pulled_image(node)
    if image and image != dict(made.settings).get("image") and _is_missing(workspace, node, image):
        word = resource_word(node)
        message = f"{node.id}: the image {one_line(image)} does not exist, so its {word} stays unchanged"
        hint = 'set image = "…" in the builder to a BuildKit image that the cluster can pull; if the machines of the '
        hint += f"cluster have this image, run first: mpbake builders rm {node.builder}"
        raise ImageUnavailable(message, hint=hint)


def _is_missing(workspace: BuilderWorkspace, node: Node, image: str) -> bool:
    """Whether the registry of `image` says that it has no such image. With any other answer, the cluster decides."""
    services = workspace.services
    registries = Registries(services.docker, services.environment, services.docker.redact)
    builder = Builder(name=node.builder, driver=node.driver, nodes=(node,))
    try:
        client = registries.client(builder).without_retries
        name, _, digest = image.partition("@")
        client.manifest(repository_of(name), digest or parse_reference(name).tag)
    except RequestFailed as error:
        return error.failure.status == _NOT_FOUND
    except ValueError:
        return False
    finally:
        registries.close()
    return False
