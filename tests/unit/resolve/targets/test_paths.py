"""Local paths. They are relative to the folder of the file that contains them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mpbake.base.platforms import parse_platform
from tests.unit.plans import resolve_files, target_of_text

if TYPE_CHECKING:
    from pathlib import Path

    from mpbake.model.plan import Target

MAIN = """
    include = ["sub/image.toml"]
    [targets.web]
    inherits = ["_image"]
    """


def located(folder: Path, target: Target) -> dict[str, Any]:
    """Return the values of a target that contain paths. `@` stands for the folder."""
    values = {**target.attributes, "output": list(target.outputs)}

    def short(value: Any) -> Any:
        match value:
            case str():
                return value.replace(str(folder), "@")
            case dict():
                return {key: short(item) for key, item in value.items()}
            case _:
                return [short(item) for item in value]

    return {name: short(value) for name, value in values.items()}


@pytest.mark.parametrize(
    ("attribute", "included", "main", "outcome"),
    [
        ("context", "'a'", "'b'", ("@/sub/a", "@/b", "@/b")),
        ("context", "'../a'", "'/b'", ("@/sub/../a", "/b", "/b")),
        ("context", "''", "'b'", ("@", "@/b", "@/b")),
        (
            "contexts",
            "{ a = 'a', both = 'a', image = 'docker-image://a' }",
            "{ b = 'b', both = 'b' }",
            (
                {"a": "@/sub/a", "both": "@/sub/a", "image": "docker-image://a"},
                {"b": "@/b", "both": "@/b"},
                {"a": "@/sub/a", "both": "@/b", "image": "docker-image://a", "b": "@/b"},
            ),
        ),
        (
            "secret",
            "['id=a,src=a', 'id=x,src=a', 'id=e,env=E', 'type=env,id=f,src=F']",
            "['id=x,source=b']",
            (
                ["id=a,src=@/sub/a", "id=x,src=@/sub/a", "id=e,env=E", "type=env,id=f,src=F"],
                ["id=x,source=@/b"],
                ["id=a,src=@/sub/a", "id=x,source=@/b", "id=e,env=E", "type=env,id=f,src=F"],
            ),
        ),
        (
            "ssh",
            "['default', 'k=a.pem,/c.pem']",
            "['l=b.pem']",
            (
                ["default", "k=@/sub/a.pem,/c.pem"],
                ["l=@/b.pem"],
                ["default", "k=@/sub/a.pem,/c.pem", "l=@/b.pem"],
            ),
        ),
        (
            "cache-from",
            "['type=local,src=a', 'user/app']",
            "['type=local,src=b']",
            (
                ["type=local,src=@/sub/a", "user/app"],
                ["type=local,src=@/b"],
                ["type=local,src=@/sub/a", "user/app", "type=local,src=@/b"],
            ),
        ),
        (
            "cache-to",
            "['type=local,dest=a']",
            "['type=local,dest=b']",
            (
                ["type=local,dest=@/sub/a"],
                ["type=local,dest=@/b"],
                ["type=local,dest=@/b"],
            ),
        ),
        (
            "output",
            "['a', 'type=tar,dest=a.tar', 'a-']",
            "['type=local,dest=b']",
            (
                ["type=local,dest=@/sub/a", "type=tar,dest=@/sub/a.tar", "type=local,dest=@/sub/a-"],
                ["type=local,dest=@/b"],
                ["type=local,dest=@/b"],
            ),
        ),
        # this path is relative to the context
        ("dockerfile", "'a'", "'b'", ("a", "b", "b")),
    ],
)
def test_the_folder_of_the_file_that_states_a_path(
    tmp_path: Path, attribute: str, included: str, main: str, outcome: tuple[Any, Any, Any]
) -> None:
    """The results if only the included file has the value, if only the main file has it, and if both have it."""

    def resolved(in_included: str, in_main: str) -> Any:
        image = "\n[targets._image]\n" + (f"{attribute} = {in_included}\n" if in_included else "")
        web = MAIN + (f"    {attribute} = {in_main}\n" if in_main else "")
        plan = resolve_files(tmp_path, {"build.toml": web, "sub/image.toml": image})
        return located(tmp_path, plan.targets["web"])[attribute]

    assert (resolved(included, ""), resolved("", main), resolved(included, main)) == outcome


def test_one_table_in_two_files(tmp_path: Path) -> None:
    plan = resolve_files(
        tmp_path,
        {
            "build.toml": """
                include = ["sub/web.toml"]
                [targets.web]
                contexts.b = "b"
                cache-to = ["type=local,dest=b"]
                """,
            "sub/web.toml": """
                [targets.web]
                context = "a"
                contexts = { a = "a", b = "a" }
                cache-to = ["type=local,dest=a", "type=local,dest=aa"]
                """,
        },
    )
    assert located(tmp_path, plan.targets["web"]) == {
        "context": "@/sub/a",
        "contexts": {"a": "@/sub/a", "b": "@/b"},
        "cache-to": ["type=local,dest=@/b"],
        "output": [],
    }


def test_a_template_counts_from_where_it_stands_not_from_where_its_variable_does(tmp_path: Path) -> None:
    plan = resolve_files(
        tmp_path,
        {
            "build.toml": """
                include = ["sub/web.toml"]
                [targets.web]
                context = "{{ folder }}"
                cache-from = "{{ caches }}"
                contexts = "{{ contexts }}"
                """,
            "sub/web.toml": """
                [variables]
                folder = "a"
                caches = ["type=local,src=x", "type=local,src=y"]
                contexts = { default = { c = "z" } }
                [targets.web]
                cache-from = ["type=local,src=a", "type=local,src=b"]
                contexts = { c = "c" }
                """,
        },
    )
    assert located(tmp_path, plan.targets["web"]) == {
        "context": "@/a",
        "contexts": {"c": "@/z"},
        "cache-from": ["type=local,src=@/x", "type=local,src=@/y"],
        "output": [],
    }


def test_paths_in_a_template_for_a_whole_list_count_from_where_it_stands(tmp_path: Path) -> None:
    files = {
        "build.toml": MAIN + "secret = ['id=main,src=a', \"{{ 'id=late,src=a' }}\"]",
        "sub/image.toml": "\n[targets._image]\nsecret = \"{{ ['id=late,src=b', 'id=sub,src=a'] }}\"",
    }
    web = resolve_files(tmp_path, files).targets["web"]
    assert located(tmp_path, web)["secret"] == ["id=late,src=@/a", "id=sub,src=@/sub/a", "id=main,src=@/a"]


def test_paths_of_defaults_of_platforms_and_of_settings(tmp_path: Path) -> None:
    files = {
        "build.toml": """
            include = ["sub/common.toml"]
            [targets.web]
            platforms = ["linux/amd64", "linux/arm64"]
            platform."linux/amd64".contexts = { own = "own" }
            """,
        "sub/common.toml": """
            [defaults.target]
            context = "all"
            secret = ["id=a,src=a"]
            [targets.web.platform."linux/arm64"]
            contexts = { arm = "arm" }
            cache-to = ["type=local,dest={{ platform.slug }}"]
            """,
    }
    settings = ["web.secret+=id=s,src=s", "web.output=out", "web.platform.linux/arm64.contexts.set=set"]
    web = resolve_files(tmp_path, files, settings=settings).targets["web"]
    assert located(tmp_path, web) == {
        "context": "@/sub/all",
        "secret": ["id=a,src=@/sub/a", "id=s,src=@/s"],
        "contexts": {"own": "@/own"},
        "output": ["type=local,dest=@/out"],
    }
    arm = web.on([parse_platform("linux/arm64")]).attributes
    assert arm["contexts"] == {"arm": f"{tmp_path}/sub/arm", "set": f"{tmp_path}/set"}
    assert arm["cache-to"] == [f"type=local,dest={tmp_path}/sub/linux-arm64"]


def test_without_a_context_the_folder_of_the_plan_is_meant(tmp_path: Path) -> None:
    plan = resolve_files(tmp_path, {"build.toml": MAIN, "sub/image.toml": "\n[targets._image]\n[targets.other]\n"})
    assert {target.attributes["context"] for target in plan.targets.values()} == {str(tmp_path)}


def test_of_several_named_files_the_first_has_the_folder_of_the_plan(tmp_path: Path) -> None:
    files = {"a/one.toml": "\n[targets.web]\n", "b/two.toml": "\n[targets.web]\ncontexts = { x = 'x' }\n"}
    web = resolve_files(tmp_path, files, "a/one.toml", "b/two.toml").targets["web"]
    assert located(tmp_path, web) == {"context": "@/a", "contexts": {"x": "@/b/x"}, "output": []}


def test_certificates_of_nodes(tmp_path: Path) -> None:
    files = {
        "build.toml": """
            include = ["sub/nodes.toml"]
            [builders.release.nodes.one.tls]
            key = "client.key"
            """,
        "sub/nodes.toml": """
            [builders.release]
            driver = "remote"
            [builders.release.nodes.one]
            endpoint = "tcp://one:1234"
            tls = { ca = "certs/ca.crt", cert = "/etc/client.crt" }
            """,
    }
    (node,) = resolve_files(tmp_path, files).builders["release"].nodes
    assert {name: str(getattr(node.tls, name)).replace(str(tmp_path), "@") for name in ("ca", "cert", "key")} == {
        "ca": "@/sub/certs/ca.crt",
        "cert": "/etc/client.crt",
        "key": "@/client.key",
    }


def test_configurations_of_buildkit(tmp_path: Path) -> None:
    files = {
        "build.toml": """
            include = ["sub/common.toml"]
            [builders.own]
            config = "own.toml"
            [builders.default]
            [builders.both]
            config = ""
            buildkitd.registry.b.keypair = [{ key = "b.key", cert = "/b.crt" }]
            """,
        "sub/common.toml": """
            [defaults.builder]
            config = "common.toml"
            [builders.both.buildkitd.registry.a]
            ca = ["a.crt"]
            [builders.node.nodes.one]
            config = "one.toml"
            """,
    }
    builders = resolve_files(tmp_path, files).builders
    nodes = {name: builder.nodes[0] for name, builder in builders.items()}
    assert {name: str(node.config_file).replace(str(tmp_path), "@") for name, node in nodes.items()} == {
        "own": "@/own.toml",
        "default": "@/sub/common.toml",
        "both": "None",
        "node": "@/sub/one.toml",
    }
    assert [str(path).replace(str(tmp_path), "@") for path in nodes["both"].config_names] == [
        "@/sub/a.crt",
        "@/b.key",
        "/b.crt",
    ]


def test_a_path_with_a_comma_or_a_quote_stays_one_field() -> None:
    target = target_of_text("""
        [targets.web]
        cache-to = ['type=local,"dest=a,b"', '''type=local,"dest=a""b"''']
        output = ["a,b"]
        """)
    assert target.attributes["cache-to"] == ['type=local,"dest=/plan/a,b"', 'type=local,"dest=/plan/a""b"']
    assert target.outputs == ('type=local,"dest=/plan/a,b"',)
