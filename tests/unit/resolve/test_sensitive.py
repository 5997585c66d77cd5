"""Sensitive variables: the places where their values are allowed, and the redaction of their values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mpbake.base.codes import Code
from mpbake.base.errors import PlanError, UsageError
from mpbake.base.redaction import Redactor
from mpbake.resolve.sensitive import SensitiveGuard, redacted_problem
from mpbake.spec.problem import Problem
from mpbake.spec.tables.target_tables import ATTRIBUTES
from tests.unit.plans import problems_of_text, resolve_text, target_of_text, text

if TYPE_CHECKING:
    from mpbake.model.plan import Plan

DECLARED = 'variables.token = { default = "", env = "TOKEN", sensitive = true }\n'
GIVEN = {"TOKEN": "hunter2"}

HISTORY = 'is sensitive, but "{}" is stored in the history of the image'
SEEN = 'variable "token" is sensitive, but this text is printed or passed as an argument'
PATHS = 'variable "token" is sensitive, but local paths are passed as arguments'
REMEDY = 'pass it to the build as a secret: secret = ["id=token,env=TOKEN"] and RUN --mount=type=secret,id=token'
ALLOWED = "use it only in these attributes of a target: context, contexts, cache-from, cache-to, enabled"
REMOTE = "use it only in the URL of a context or in the fields of a remote cache"


def plan_of(rest: str, environment: dict[str, str] | None = None, **inputs: Any) -> Plan:
    return resolve_text(f"\n{DECLARED}{rest}\n", environment=GIVEN if environment is None else environment, **inputs)


def problems_of(rest: str, environment: dict[str, str] | None = None, **inputs: Any) -> str:
    return problems_of_text(
        f"\n{DECLARED}{rest}\n", environment=GIVEN if environment is None else environment, **inputs
    )


# --- allowed places ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ('context = "https://x:{{ token }}@host/r.git"', "context", "https://x:hunter2@host/r.git"),
        ('contexts.src = "https://host/?t={{ token }}"', "contexts", {"src": "https://host/?t=hunter2"}),
        ('cache-from = ["type=gha,token={{ token }}"]', "cache-from", ["type=gha,token=hunter2"]),
        ('cache-to = ["type=s3,secret_access_key={{ token }}"]', "cache-to", ["type=s3,secret_access_key=hunter2"]),
        ("enabled = \"{{ token != '' }}\"", "context", "/plan"),
    ],
)
def test_where_a_sensitive_value_may_stand(line: str, name: str, value: Any) -> None:
    plan = plan_of(f"[targets.web]\n{line}")
    assert plan.targets["web"].attributes[name] == value
    assert "hunter2" in plan.sensitive


def test_nothing_else_takes_one() -> None:
    allowed = {name for name, attribute in ATTRIBUTES.items() if attribute.sensitive}
    assert allowed == {"context", "contexts", "cache-from", "cache-to", "enabled"}


@pytest.mark.parametrize(
    ("line", "key", "reason"),
    [
        ('args = { A = "x{{ token }}" }', "args.A", "args"),
        ('dockerfile-inline = "FROM {{ token }}"', "dockerfile-inline", "dockerfile-inline"),
    ],
)
@pytest.mark.parametrize("environment", [{}, GIVEN])
def test_what_ends_in_the_history_of_the_image(line: str, key: str, reason: str, environment: dict[str, str]) -> None:
    problems = problems_of(f"[targets.web]\n{line}", environment)
    message = f'variable "token" is sensitive, but "{reason}" is stored in the history of the image'
    assert f"build.toml:4: targets.web.{key}: {message}\n    {line}\n  = {REMEDY}" in problems
    assert "hunter2" not in problems.replace(line, "")


@pytest.mark.parametrize(
    ("line", "key", "reason"),
    [
        (
            'labels = { a = "{{ token | upper }}" }',
            "labels.a",
            '"labels" can be read by everyone who can pull the image',
        ),
        ('tags = ["r/web:{{ token }}"]', "tags[0]", '"tags" is printed and listed by registries'),
        (
            'annotations = ["a={{ token }}"]',
            "annotations[0]",
            '"annotations" can be read by everyone who can pull the image',
        ),
        (
            'annotations = "{{ [token] }}"',
            "annotations",
            '"annotations" can be read by everyone who can pull the image',
        ),
    ],
)
@pytest.mark.parametrize("environment", [{}, GIVEN])
def test_what_is_published_with_the_image(line: str, key: str, reason: str, environment: dict[str, str]) -> None:
    """A build secret cannot replace these values, so the hint does not suggest one."""
    problems = problems_of(f"[targets.web]\n{line}", environment)
    message = f'variable "token" is sensitive, but {reason}'
    assert f"build.toml:4: targets.web.{key}: {message}\n    {line}\n  = {ALLOWED}" in problems


@pytest.mark.parametrize(
    ("table", "line", "key"),
    [
        ("targets.web", 'description = "{{ token }}"', "targets.web.description"),
        ("targets.web", 'dockerfile = "{{ token }}"', "targets.web.dockerfile"),
        ("targets.web", 'target = "{{ token }}"', "targets.web.target"),
        ("targets.web", 'secret = ["id=t,src={{ token }}"]', "targets.web.secret[0]"),
        ("targets.web", 'ssh = ["default={{ token }}"]', "targets.web.ssh[0]"),
        ("targets.web", 'output = ["type=local,dest={{ token }}"]', "targets.web.output[0]"),
        ("targets.web", 'attest = ["type=sbom,generator={{ token }}"]', "targets.web.attest[0]"),
        ("targets.web", 'checks = [{ run = ["{{ token }}"] }]', "targets.web.checks[0].run[0]"),
        ("targets.web", 'shm-size = "{{ token }}"', "targets.web.shm-size"),
        ("builders.b", 'image = "{{ token }}"', "builders.b.image"),
        ("builders.b.nodes.n", 'endpoint = "ssh://{{ token }}"', "builders.b.nodes.n.endpoint"),
        ("defaults.builder", 'network = "{{ token }}"', "defaults.builder.network"),
        ("groups.g", 'targets = []\ndescription = "{{ token }}"', "groups.g.description"),
    ],
)
def test_what_is_printed_or_becomes_an_argument(table: str, line: str, key: str) -> None:
    problems = problems_of(f"[{table}]\n{line}")
    number = 4 + line.count("\n")
    shown = line.rpartition("\n")[2]
    assert problems == f"build.toml:{number}: {key}: {SEEN}\n    {shown}\n  = {ALLOWED}"


def test_a_row_of_a_matrix_takes_none() -> None:
    matrix = problems_of('[targets.web]\nmatrix = { a = ["{{ token }}"] }\nname = "web-{{ a }}"')
    assert matrix.startswith(f"build.toml:4: targets.web.matrix.a[0]: {SEEN}\n")
    exclude = '[targets.web]\nmatrix = { a = ["x", "y"] }\nexclude = [{ a = "{{ token }}" }]\nname = "web-{{ a }}"'
    assert problems_of(exclude).startswith(f"build.toml:5: targets.web.exclude[0].a: {SEEN}\n")
    name = problems_of('[targets.web]\nmatrix = { a = ["x"] }\nname = "{{ a }}-{{ token }}"')
    assert f"build.toml:5: targets.web.name: {SEEN}\n" in name


def test_what_a_platform_or_the_command_line_says_is_looked_at_too() -> None:
    line = 'platform."linux/arm64".args = { A = "{{ token }}" }'
    problems = problems_of(f'[targets.web]\nplatforms = ["linux/arm64"]\n{line}')
    message = HISTORY.format("args")
    assert problems.startswith(f'build.toml:5: targets.web.platform."linux/arm64".args.A: variable "token" {message}\n')


def test_a_problem_that_many_inherit_is_told_once() -> None:
    children = "".join(f'[targets.t{number}]\ninherits = ["_base"]\n' for number in range(5))
    problems = problems_of(f'[targets._base]\nargs = {{ A = "{{{{ token }}}}" }}\n{children}')
    assert problems.count(HISTORY.format("args")) == 1


@pytest.mark.parametrize(
    "line",
    [
        'context = "{{ token }}"',
        'context = "./{{ token | upper }}/x"',
        'contexts.src = "{{ token }}"',
        'cache-from = ["type=local,src={{ token }}"]',
        'cache-to = ["type=local,dest=cache/{{ token }}"]',
        "cache-to = \"{{ ['type=local,dest=' ~ token] }}\"",
    ],
)
def test_paths_become_arguments(line: str) -> None:
    assert problems_of(f"[targets.web]\n{line}").splitlines()[::2] == [
        f"build.toml:4: targets.web.{_key_of(line)}: {PATHS}",
        f"  = {REMOTE}",
    ]


@pytest.mark.parametrize(
    "line",
    [
        'context = "app{{ token }}"',
        'contexts.src = "./{{ token | upper }}"',
        'cache-from = ["type=local,src={{ token }}"]',
        'cache-to = ["type=local,dest={{ token }}"]',
        "cache-to = \"{{ ['type=local,dest=' ~ token] if token else [] }}\"",
        "context = \"{{ 'app-' ~ token if token else 'app' }}\"",
    ],
)
@pytest.mark.parametrize("environment", [{}, GIVEN])
def test_paths_become_arguments_whether_or_not_there_is_a_value(line: str, environment: dict[str, str]) -> None:
    """A plan that is valid without values for its secrets stays valid with them."""
    assert problems_of(f"[targets.web]\n{line}", environment).splitlines()[::2] == [
        f"build.toml:4: targets.web.{_key_of(line)}: {PATHS}",
        f"  = {REMOTE}",
    ]


@pytest.mark.parametrize("environment", [{}, GIVEN])
def test_what_a_value_only_chooses_is_no_part_of_it(environment: dict[str, str]) -> None:
    plan = plan_of("[targets.web]\ncontext = \"{{ 'src' if token else 'other' }}\"", environment)
    assert plan.targets["web"].attributes["context"] == f"/plan/{'src' if environment else 'other'}"
    assert plan.sensitive == {environment.get("TOKEN", "")}


@pytest.mark.parametrize(
    "context", ["{{ token or 'app' }}", "{{ token }}", "{{ 'x' ~ token.a.b if token else 'app' }}"]
)
def test_what_may_be_an_address_is_judged_by_its_value(context: str) -> None:
    assert plan_of(f'[targets.web]\ncontext = "{context}"', {})
    if "or" in context:
        url = {"TOKEN": "https://x:y@host/r.git"}
        assert (
            plan_of(f'[targets.web]\ncontext = "{context}"', url).targets["web"].attributes["context"] == url["TOKEN"]
        )
    assert "is sensitive" in problems_of(f'[targets.web]\ncontext = "{context}"'.replace(".a.b", ""))


def _key_of(line: str) -> str:
    name = line.partition(" ")[0]
    return f"{name}[0]" if '["' in line else name


def test_an_empty_value_hides_nothing() -> None:
    line = "context = \"{{ 'https://x:' ~ token ~ '@host/r.git' if token else 'src' }}\""
    assert plan_of(f"[targets.web]\n{line}", {}).targets["web"].attributes["context"] == "/plan/src"
    assert plan_of(f"[targets.web]\n{line}", {}).sensitive == {""}
    assert plan_of(f"[targets.web]\n{line}").targets["web"].attributes["context"] == "https://x:hunter2@host/r.git"


# --- redaction --------------------------------------------------------------------------------------------------------


def test_every_value_that_was_offered_is_hidden() -> None:
    plan = plan_of("", {"TOKEN": "of-env"}, variables={"token": "of-var"}, values={"token": ["of-file", 4711]})
    assert plan.sensitive == {"of-var", "of-file", "4711", "of-env"}


def test_a_default_is_hidden_where_it_counts() -> None:
    toml = '\n[variables]\ntoken = { default = "of-plan", sensitive = true }\n'
    assert resolve_text(toml).sensitive == {"of-plan"}
    assert resolve_text(toml, variables={"token": "of-var"}).sensitive == {"of-var"}


def test_what_is_made_of_a_sensitive_variable_is_sensitive() -> None:
    rest = """
    [variables.login]
    default = "me:{{ token }}"
    [variables.url]
    default = "https://{{ login }}@host"
    [variables.parts]
    default = ["{{ token | upper }}", "{{ token }}"]
    [variables.given]
    default = "{{ token != '' }}"
    [variables.other]
    default = "plain"
    [targets.web]
    args = { A = "{{ url }}", B = "{{ other }}", C = "{{ given }}" }
    """
    problems = problems_of(text(rest).replace("    ", ""))
    assert [line for line in problems.splitlines() if line.startswith("build")] == [
        f'build.toml:14: targets.web.args.A: variable "url" {HISTORY.format("args")}',
        f'build.toml:14: targets.web.args.C: variable "given" {HISTORY.format("args")}',
    ]
    assert 'secret = ["id=url,env=…"]' in problems
    plan = plan_of(text(rest).replace("    ", "").partition("[targets.web]")[0])
    assert plan.sensitive == {"hunter2", "HUNTER2", "me:hunter2", "https://me:hunter2@host"}


def test_what_a_template_makes_of_a_value_is_hidden_as_a_whole() -> None:
    plan = plan_of('[targets.web]\ncontext = "https://host/?t={{ token | upper }}"\nargs = { A = "b" }')
    assert plan.sensitive == {"hunter2", "https://host/?t=HUNTER2"}


def test_credentials_that_are_written_out_are_hidden() -> None:
    plan = resolve_text("""
    [targets.web]
    context = "https://me:pass-1@host/r.git"
    contexts = { a = "https://ghp_0123456789@host", b = "https://host?sig=pass-2" }
    cache-from = ["type=s3,access_key_id=AKIA1,secret_access_key=pass-3"]
    cache-to = ["type=gha,token=pass-4"]
    [targets.web.labels]
    source = "https://host?token=abc"
    """)
    assert plan.sensitive == {"pass-1", "ghp_0123456789", "pass-2", "AKIA1", "pass-3", "pass-4"}


@pytest.mark.parametrize(
    ("line", "key", "reason", "remedy"),
    [
        (
            'args = { A = "https://me:hunter2@host" }',
            "targets.web.args.A",
            '"args" is stored in the history of the image',
            REMEDY.replace("token", "NAME").replace("TOKEN", "NAME"),
        ),
        (
            'description = "https://me:hunter2@host"',
            "targets.web.description",
            "this text is printed or passed as an argument",
            "remove the password",
        ),
    ],
)
def test_a_password_counts_as_sensitive(line: str, key: str, reason: str, remedy: str) -> None:
    shown = line.replace("hunter2", "***")
    assert problems_of_text(f"\n[targets.web]\n{line}\n") == (
        f"build.toml:3: {key}: contains a URL with a password, but {reason}\n    {shown}\n  = {remedy}"
    )


@pytest.mark.parametrize("url", ["https://ghp_0123456789@host", "https://me@host", "https://me:$TOKEN@host"])
def test_what_may_be_no_password_is_left_alone(url: str) -> None:
    assert target_of_text(f'\n[targets.web]\nargs = {{ A = "{url}" }}\n').attributes["args"] == {"A": url}


def test_a_password_in_a_variable_counts_where_it_is_used() -> None:
    toml = '\nvariables.url = "https://me:hunter2@host"\n[targets.web]\nATTRIBUTE\n'
    plan = resolve_text(toml.replace("ATTRIBUTE", 'context = "{{ url }}"'))
    assert plan.sensitive == {"hunter2"}
    assert "contains a URL with a password" in problems_of_text(toml.replace("ATTRIBUTE", 'labels.a = "{{ url }}"'))


# --- messages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "inputs", "message"),
    [
        ('default = "hunter2", type = "int"', {}, 'default "***" is not a whole number'),
        ("default = 5, max = 9", {"variables": {"token": "hunter2"}}, 'value "***" of --var is not a whole number'),
        (
            'default = "", pattern = "^x"',
            {"values": {"token": "hunter2"}},
            'value "***" of --var-file does not match ^x',
        ),
        (
            'env = "TOKEN", choices = ["a", "b"]',
            {"environment": {"TOKEN": "hunter2"}},
            'value "***" of the environment variable TOKEN is not one of a, b',
        ),
        (
            'default = ""',
            {"variables": {"token": " x "}},
            "value (not shown) of --var is too short to redact: fewer than 3 characters",
        ),
        (
            "default = []",
            {"values": {"token": ["hunter2", "hu"]}},
            "value (not shown) of --var-file is too short to redact: fewer than 3 characters",
        ),
    ],
)
def test_a_value_that_cannot_be_taken_is_not_shown(settings: str, inputs: dict[str, Any], message: str) -> None:
    toml = f"\nvariables.token = {{ sensitive = true, {settings} }}\n"
    problems = problems_of_text(toml, **inputs)
    line = f"variables.token = {{ sensitive = true, {settings} }}".replace("hunter2", "***")
    assert problems == f'build.toml:2: variables.token: variable "token": the {message}\n    {line}'


def test_numbers_and_flags_may_be_short() -> None:
    settings = "sensitive = true }\n"
    toml = f"\nvariables.number = {{ default = 7, {settings}variables.flag = {{ default = true, {settings}"
    assert resolve_text(toml).sensitive == {"7"}
    assert resolve_text(toml, variables={"flag": "true", "number": "42"}).sensitive == {"42"}


def test_what_other_problems_quote_is_hidden() -> None:
    problems = problems_of("""[targets.web]
context = "https://x:{{ token }}@host/{{ {}[token] }}"
cache-to = ['type=gha,"token={{ token }}']
""")
    no_fields = '"{}" is not a list of key=value fields separated by commas'
    places = [line for line in problems.splitlines() if line.startswith("build")]
    assert places[0].startswith("build.toml:4: targets.web.context: ")
    assert places[1:] == [f"build.toml:5: targets.web.cache-to[0]: {no_fields.format('***')}"]
    assert "hunter2" not in problems
    linked = problems_of('targets.web.contexts.a = "target:{{ token }}"')
    assert linked.startswith('build.toml:3: targets.web.contexts.a: unknown target "***"\n')
    written_out = problems_of("targets.web.cache-to = ['type=gha,\"token=pass-1']")
    line = "targets.web.cache-to = ['type=gha,\"token=***']"
    expected = no_fields.format('type=gha,"token=***')
    assert written_out == f"build.toml:3: targets.web.cache-to[0]: {expected}\n    {line}"


@pytest.mark.parametrize(
    ("rest", "token", "expected"),
    [
        (
            'targets.web.cache-to = ["type=s3,region=eu,secret_access_key={{ token }}"]',
            "abcdefghij,klmnopqrst/uvwxyz",
            '"***" is not a key=value field',
        ),
        ('targets.web.cache-to = ["type={{ token }}"]', "abcdefghij,klmnopqrst", '"***" is not a key=value field'),
        ('targets.web.cache-to = ["type={{ token }}"]', "registri,k=lmnop", 'unknown type "***"'),
        ('targets.web.context = "https://host/{{ token | semver }}"', "k" * 180, '"***" is not a semantic version'),
        ('targets.web.cache-from = ["type=gha,{{ token[:9] }}"]', "abcdefghijkl", '"***" is not a key=value field'),
        ('targets.web.enabled = "{{ {}[token[:9]] }}"', "abcdefghijkl", 'the table has no "***"'),
        ('targets.web.contexts.a = "{{ token.format() }}"', "abc{defghijkl}", "the template cannot be rendered: '***'"),
        ("variables.v.default = \"{{ token | timestamp('%Q') }}\"", "k" * 180, '"***" is not a time'),
        ('targets.web.shm-size = "{{ token | semver }}"', "k" * 180, '"***" is not a semantic version'),
    ],
)
def test_a_part_of_a_secret_is_not_quoted(rest: str, token: str, expected: str) -> None:
    problems = problems_of(rest, {"TOKEN": token})
    assert f": {expected}" in problems
    assert [token[at : at + 5] for at in range(len(token) - 4) if token[at : at + 5] in problems] == []


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ('targets.web.cache-to = ["type=regstry,ref=h/{{ token }}"]', 'unknown type "regstry"'),
        ('targets.web.context = "https://{{ tken }}@{{ token }}"', 'unknown variable "tken"'),
        ('targets.web.context = "https://{{ token | semvr }}"', 'unknown filter "semvr"'),
    ],
)
def test_what_the_plan_itself_says_beside_a_secret_is_quoted(rest: str, expected: str) -> None:
    problems = problems_of(rest)
    assert f": {expected}\n" in problems
    assert "\n  = did you mean " in problems
    assert "***" not in problems.partition("\n")[0]


def test_a_value_of_a_variable_that_is_misspelt_is_not_shown() -> None:
    with pytest.raises(UsageError) as caught:
        plan_of("", variables={"tokem": "hunter2"})
    assert str(caught.value) == '--var: unknown variable "tokem"\n  = did you mean "token"?'


@pytest.mark.parametrize(
    "toml",
    [
        'variables.token = { default = "hunter2", sensitive = true, x = 1 }',
        'variables.token = { default = "hunter2", sensitve = true }',
        'variables.token = { default = "hunter2", sensitive = "yes" }',
        'variables.token = { default = ["a", { b = "hunter2" }], sensitive = true, x = 1 }',
        'targets.web.contxt = "https://me:hunter2@host"',
        'targets.web.cach-to = ["type=s3,secret_access_key=hunter2"]',
        'targets.web.cach-to = ["secret_access_key=hunter2,type=s3"]',
    ],
)
def test_lines_of_the_file_are_shown_without_secrets(toml: str) -> None:
    with pytest.raises(PlanError) as caught:
        resolve_text(f"\n{toml}\n")
    shown = str(caught.value)
    assert "hunter2" not in shown
    assert toml.replace("hunter2", "***") in shown
    assert "^" not in shown, "a mark would be in the wrong place"


def test_lines_with_nothing_to_hide_are_marked() -> None:
    with pytest.raises(PlanError) as caught:
        resolve_text('\nvariables.token = { default = "hunter2", sensitive = false, x = 1 }\n')
    shown = str(caught.value)
    assert "hunter2" in shown
    assert "^" in shown


@pytest.mark.parametrize(
    "toml",
    [
        '[variables.token]\ndefault = "hunter2\nsensitive = true',
        '[variables]\na = "b"\ntoken = { sensitive = true, default = "hunter2 }\n[targets]',
        '[variables.token]\nsensitive = true\ndefault = "hunter2"\ndefault = "hunter2"\n',
    ],
)
def test_lines_of_what_is_no_toml_are_not_shown_near_secrets(toml: str) -> None:
    with pytest.raises(PlanError) as caught:
        resolve_text(f"\n{toml}\n")
    assert "hunter2" not in str(caught.value)


def test_other_lines_of_what_is_no_toml_are_shown() -> None:
    with pytest.raises(PlanError) as caught:
        resolve_text('\n[variables.token]\nsensitive = true\n[targets.web]\ncontext = "src\n')
    assert 'context = "src' in str(caught.value)


REFERENCES = """
    [variables.tok]
    sensitive = true
    env = "TOK"
    [targets.base]
    [targets.web]
"""


def test_what_a_sensitive_value_is_near_to_is_not_told() -> None:
    plan = f'{REFERENCES}contexts = {{ x = "target:{{{{ tok }}}}" }}'
    assert problems_of_text(plan, environment={"TOK": "base1"}) == text("""
        build.toml:7: targets.web.contexts.x: unknown target "***"
            contexts = { x = "target:{{ tok }}" }
        """)


@pytest.mark.parametrize("reference", ['needs = ["{{ tok }}"]', 'builder = "{{ tok }}"'])
def test_what_may_not_stand_somewhere_is_no_unknown_reference_as_well(reference: str) -> None:
    problems = problems_of_text(f"{REFERENCES}{reference}", environment={"TOK": "base1"})
    assert 'variable "tok" is sensitive' in problems
    assert "unknown" not in problems


def test_a_concealed_problem() -> None:
    problem = Problem(code=Code.BAD_FIELDS, key=("a",), message="x hunter2", hint="y hunter2", culprit="hunter2")
    hidden = Problem(code=Code.BAD_FIELDS, key=("a",), message="x ***", hint="y ***")
    assert redacted_problem(problem, Redactor(["hunter2"])) == hidden
    assert redacted_problem(problem, Redactor()) == problem


def test_a_guard_without_variables_checks_few_texts() -> None:
    guard = SensitiveGuard()
    assert not guard.needs_check("{{ token }}", "hunter2")
    assert not guard.needs_check("FROM x", ["a"])
    assert guard.needs_check("https://host", "https://host")
