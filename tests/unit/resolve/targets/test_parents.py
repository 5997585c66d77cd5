"""The parents of a table: tables, tables that templates choose, and rows of a matrix."""

from __future__ import annotations

import pytest

from tests.unit.plans import problems_of_text, resolve_text, target_of_text, text

FLAVOURS = """
    [targets._slim]
    args = { SLIM = "{{ php }}" }
    cache-from = ["slim"]
    [targets._full]
    args = { FULL = 1 }
    [targets.php]
    matrix = { php = ["8.1", "8.2"], flavour = ["slim", "full"] }
    name = "php-{{ php | replace('.', '-') }}-{{ flavour }}"
    inherits = ["_{{ flavour }}"]
    tags = ["php:{{ php }}-{{ flavour }}"]
    """


def test_a_row_of_a_matrix_chooses_its_parents() -> None:
    targets = resolve_text(FLAVOURS).targets
    assert [targets[name].attributes.get("args") for name in targets] == [
        {"SLIM": "8.1"},
        {"FULL": "1"},
        {"SLIM": "8.2"},
        {"FULL": "1"},
    ]


def test_a_variable_chooses_a_parent() -> None:
    plan = """
        [variables]
        mode = { default = "", env = "MODE" }
        [targets._debug]
        args = { DEBUG = 1 }
        [targets._image]
        inherits = ["{{ '_' ~ mode if mode else '' }}"]
        [targets.web]
        inherits = ["_image"]
        """
    assert "args" not in target_of_text(plan).attributes  # an empty name is no parent
    assert target_of_text(plan, environment={"MODE": "debug"}).attributes["args"] == {"DEBUG": "1"}


def test_a_template_gives_the_whole_list_of_parents() -> None:
    plan = """
        [variables]
        parents = ["_a", "_b"]
        [targets._a]
        args = { A = 1 }
        [targets._b]
        args = { B = 2 }
        [targets.web]
        inherits = "{{ parents }}"
        """
    assert target_of_text(plan).attributes["args"] == {"A": "1", "B": "2"}


def test_an_heir_of_a_matrix_chooses_the_parents_with_its_own_variables() -> None:
    heir = """
    [targets.heir]
    matrix = { php = ["7"], flavour = ["slim"] }
    name = "heir-{{ php }}"
    inherits = ["php"]
    """
    target = resolve_text(FLAVOURS + heir).targets["heir-7"]
    assert target.attributes["args"] == {"SLIM": "7"}
    assert target.tags == ("php:7-slim",)


def test_a_target_inherits_one_row_with_the_values_of_the_row() -> None:
    heir = """
    [targets.web]
    inherits = ["php-8-2-slim"]
    args = { DEBUG = 1 }
    """
    target = target_of_text(FLAVOURS + heir)
    assert target.attributes["args"] == {"SLIM": "8.2", "DEBUG": "1"}
    assert target.tags == ("php:8.2-slim",)
    assert target.source_key(("args", "SLIM")) == ("targets", "_slim", "args", "SLIM")


def test_an_inherited_row_keeps_its_values_beside_variables_of_the_same_name() -> None:
    heir = """
    [targets.web]
    matrix = { php = ["9"] }
    name = "web-{{ php }}"
    inherits = ["php-8-1-slim", "php-8-2-slim"]
    labels = { php = "{{ php }}" }
    """
    target = resolve_text(FLAVOURS + heir).targets["web-9"]
    assert target.attributes["args"] == {"SLIM": "8.2"}
    assert target.attributes["labels"] == {"php": "9"}


def test_two_rows_append_their_own_entries() -> None:
    plan = """
        [targets.base]
        matrix = { n = [1, 2] }
        name = "base-{{ n }}"
        cache-from = ["base:{{ n }}", "always"]
        [targets.web]
        inherits = ["base-1", "base-2"]
        """
    assert target_of_text(plan).attributes["cache-from"] == ["base:1", "always", "base:2"]


def test_a_row_inherits_another_row_of_its_matrix() -> None:
    plan = """
        [targets.step]
        matrix = { n = [1, 2, 3] }
        name = "step-{{ n }}"
        inherits = ["{{ 'step-' ~ (n - 1) if n > 1 else '' }}"]
        cache-from = ["step:{{ n }}"]
        """
    targets = resolve_text(plan).targets
    assert targets["step-3"].attributes["cache-from"] == ["step:1", "step:2", "step:3"]
    changed = resolve_text(plan, settings=["step-2.args.X=1"]).targets
    assert "args" not in changed["step-1"].attributes
    assert changed["step-3"].attributes["args"] == {"X": "1"}


def test_a_row_differs_by_platform_after_it_is_inherited() -> None:
    plan = """
        [targets.base]
        matrix = { n = [1, 2] }
        name = "base-{{ n }}"
        platforms = ["linux/amd64", "linux/arm64"]
        args = { P = "{{ platform.arch }}-{{ n }}" }
        [targets.base.platform."linux/arm64"]
        labels = { n = "{{ n }}" }
        [targets.web]
        inherits = ["base-2"]
        """
    target = target_of_text(plan)
    amd64, arm64 = (target.on([platform]).attributes for platform in target.platforms)
    assert (amd64["args"], arm64["args"]) == ({"P": "amd64-2"}, {"P": "arm64-2"})
    assert arm64["labels"] == {"n": "2"}


def test_a_child_that_lacks_a_variable_of_the_matrix_is_named() -> None:
    heir = """
    [targets.web]
    inherits = ["php"]
    [targets.api]
    inherits = ["_slim"]
    """
    assert problems_of_text(FLAVOURS + heir) == text("""
        build.toml:14: targets.web.inherits: lacks the matrix variable "flavour" that `inherits` of "php" uses
            inherits = ["php"]
          = add it: matrix = { flavour = […] }, or inherit one row by its name, such as "php-8-1-slim"
        build.toml:14: targets.web.inherits: lacks the matrix variable "php" that `tags` of "php" uses
            inherits = ["php"]
          = add it: matrix = { php = […] }, or inherit one row by its name, such as "php-8-1-slim"
        build.toml:16: targets.api.inherits: lacks the matrix variable "php" that `args` of "_slim" uses
            inherits = ["_slim"]
          = add it: matrix = { php = […] }, or inherit one row by its name, such as "php-8-1-slim"
    """)


def test_a_variable_that_no_matrix_has_is_the_mistake_of_the_parent() -> None:
    plan = """
        [targets._base]
        args = { A = "{{ nobody }}" }
        [targets.web]
        inherits = ["_base"]
        """
    assert problems_of_text(plan).startswith(
        'build.toml:3: targets._base.args.A: unknown variable "nobody"\n    args = { A = "{{ nobody }}" }'
    )


@pytest.mark.parametrize(
    ("inherits", "message"),
    [
        ('["_{{ flavour }}l"]', 'targets.web.inherits[0]: unknown target "_fulll"\n{}\n  = did you mean "_full"?'),
        ('["php-8-2-slom"]', 'targets.web.inherits[0]: unknown target "php-8-2-slom"\n{}\n  = did you mean'),
        ('"{{ flavour }}"', "targets.web.inherits: must be a list of names"),
        ('["{{ [1] }}"]', "targets.web.inherits: must be a list of names"),
        ('["{{ nobody }}"]', 'targets.web.inherits[0]: unknown variable "nobody"'),
    ],
)
def test_a_wrong_parent_is_reported_once_for_all_rows(inherits: str, message: str) -> None:
    heir = f"""
    [targets.web]
    matrix = {{ flavour = ["full", "full"], n = [1, 2] }}
    exclude = [{{ n = 2 }}]
    name = "web-{{{{ flavour }}}}"
    inherits = {inherits}
    """
    problems = problems_of_text(FLAVOURS + heir)
    where = "build.toml:17: " + message.format(f"    inherits = {inherits}")
    assert where in problems
    assert problems.count("inherits") <= where.count("inherits") + 1


def test_a_matrix_with_a_mistake_causes_no_error_about_its_rows() -> None:
    plan = """
        [targets.php]
        matrix = { php = [] }
        name = "php-{{ php }}"
        [targets.web]
        inherits = ["php-8"]
        """
    assert problems_of_text(plan) == text("""
        build.toml:3: targets.php.matrix.php: must be a list with at least one value
            matrix = { php = [] }
    """)


def test_a_cycle_through_rows_is_an_error() -> None:
    plan = """
        [targets.php]
        matrix = { n = [1, 2] }
        name = "php-{{ n }}"
        inherits = ["{{ 'web' if n == 1 else '' }}"]
        [targets.web]
        inherits = ["php-1"]
        """
    assert problems_of_text(plan) == text("""
        build.toml:5: targets.php.inherits: references form a cycle: php -> web -> php-1 -> php
            inherits = ["{{ 'web' if n == 1 else '' }}"]
          = remove one of these references
    """)


def test_a_long_chain_of_chosen_parents_is_an_error() -> None:
    chain = "".join(f"\n[targets.t{n}]\ninherits = ['t{{{{ x + {n} }}}}']" for n in range(150))
    problems = problems_of_text(f"\n[variables]\nx = 1\n{chain}\n[targets.t150]\n")
    assert "targets.t100.inherits: inherits through more than 100 tables whose parents depend on templates" in problems


def test_parents_that_many_chosen_parents_share_are_merged_once() -> None:
    shared = "".join(
        f"\n[targets._{n}]\ninherits = ['_{{{{ x + {n} }}}}', '_{{{{ {n} + x }}}}']\nneeds = ['n{n}']"
        for n in range(1, 60)
    )
    needed = "".join(f"\n[targets.n{n}]" for n in range(1, 60))
    web = target_of_text(f"\n[variables]\nx = -1\n[targets._0]{shared}{needed}\n[targets.web]\ninherits = ['_59']")
    assert [target.name for target in web.needs] == [f"n{n}" for n in range(1, 60)]
