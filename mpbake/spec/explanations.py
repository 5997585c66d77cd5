"""What each code means, with a plan that is wrong and one that is right: what `docs/diagnostics.md` is made of."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from mpbake.base.codes import Code, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """What a code means, in one sentence, and a plan that draws it and nothing else beside one that draws nothing.

    The plans lack their first line, `version = 1`, and lie beside a Dockerfile. Where no plan alone draws the code,
    `beyond` says what else it takes.
    """

    text: str
    wrong: str = ""
    right: str = ""
    beyond: str = ""


EXPLANATIONS: Mapping[Code, Explanation] = MappingProxyType(
    {
        Code.NO_PLAN: Explanation(
            text="There is no plan in this folder or any above it.",
            beyond="Write a `build.toml` (`mpbake init` does), or name a plan with `-f`.",
        ),
        Code.FILE_UNREADABLE: Explanation(
            text="A file is not there, is a folder or a device, is larger than 64 MB, or may not be read.",
            beyond="Name a file or a pipe that you may read.",
        ),
        Code.FILE_ENCODING: Explanation(
            text="A file is no UTF-8 text, which TOML must be.",
            beyond="Save the file as UTF-8.",
        ),
        Code.TOML_SYNTAX: Explanation(
            text="A file is not TOML: the mark is where it stops making sense.",
            wrong="""
[targets.web]
tags = [example.com/web]
""",
            right="""
[targets.web]
tags = ["example.com/web"]
""",
        ),
        Code.DUPLICATE_KEY: Explanation(
            text="A key or table is given twice; TOML does not say which one counts.",
            wrong="""
[targets.web]
tags = ["example.com/web:1"]
tags = ["example.com/web:2"]
""",
            right="""
[targets.web]
tags = ["example.com/web:1", "example.com/web:2"]
""",
        ),
        Code.TOO_DEEP: Explanation(
            text="Lists or tables are nested more than 50 levels deep.",
            beyond="No plan needs that.",
        ),
        Code.NUMBER_TOO_LONG: Explanation(
            text="A number has more than some thousand digits.",
            beyond="Write it as text.",
        ),
        Code.BAD_INCLUDE: Explanation(
            text="`include` names something that is no file of this machine.",
            wrong="""
include = ["https://example.com/common.toml"]

[targets.web]
tags = ["example.com/web"]
""",
            right="""
[targets.web]
tags = ["example.com/web"]
""",
        ),
        Code.BAD_REQUIREMENT: Explanation(
            text="`requires` is no range of versions.",
            wrong="""
requires = "1 or newer"

[targets.web]
tags = ["example.com/web"]
""",
            right="""
requires = ">=0.1"

[targets.web]
tags = ["example.com/web"]
""",
        ),
        Code.OTHER_MPBAKE: Explanation(
            text="The plan requires another mpbake than this one.",
            wrong="""
requires = ">=999"

[targets.web]
tags = ["example.com/web"]
""",
            right="""
requires = ">=0.1"

[targets.web]
tags = ["example.com/web"]
""",
        ),
        Code.UNKNOWN_TABLE: Explanation(
            text="A table at the top of the plan is none that mpbake knows.",
            wrong="""
[target.web]
tags = ["example.com/web"]
""",
            right="""
[targets.web]
tags = ["example.com/web"]
""",
        ),
        Code.UNKNOWN_KEY: Explanation(
            text="A table has no such key; `docs/reference.md` lists those of each table.",
            wrong="""
[targets.web]
tag = ["example.com/web"]
""",
            right="""
[targets.web]
tags = ["example.com/web"]
""",
        ),
        Code.MISSING_KEY: Explanation(
            text="A table lacks a key that it must have.",
            wrong="""
[groups.all]
description = "everything"

[targets.web]
tags = ["example.com/web"]
""",
            right="""
[groups.all]
description = "everything"
targets = ["web"]

[targets.web]
tags = ["example.com/web"]
""",
        ),
        Code.WRONG_TYPE: Explanation(
            text="A value is of another type than its key takes.",
            wrong="""
[targets.web]
tags = "example.com/web"
""",
            right="""
[targets.web]
tags = ["example.com/web"]
""",
        ),
        Code.OUT_OF_RANGE: Explanation(
            text="A number is too small or too large.",
            wrong="""
[targets.web]
tags = ["example.com/web"]
retries = 99
""",
            right="""
[targets.web]
tags = ["example.com/web"]
retries = 3
""",
        ),
        Code.PLAN_VERSION: Explanation(
            text="The plan is of a version that this mpbake does not read; `version` is a whole number.",
            wrong="""
version = "1.0"

[targets.web]
tags = ["example.com/web"]
""",
            right="""
version = 1

[targets.web]
tags = ["example.com/web"]
""",
        ),
        Code.UNKNOWN_DRIVER: Explanation(
            text="There is no such driver of builders.",
            wrong="""
[builders.ci]
driver = "container"

[targets.web]
builder = "ci"
tags = ["example.com/web"]
""",
            right="""
[builders.ci]
driver = "docker-container"

[targets.web]
builder = "ci"
tags = ["example.com/web"]
""",
        ),
        Code.UNKNOWN_EMULATION: Explanation(
            text="`emulation` is `forbid`, `warn` or `allow`.",
            wrong="""
[builders.ci]
emulation = "no"

[targets.web]
builder = "ci"
tags = ["example.com/web"]
""",
            right="""
[builders.ci]
emulation = "forbid"

[targets.web]
builder = "ci"
tags = ["example.com/web"]
""",
        ),
        Code.UNKNOWN_TYPE: Explanation(
            text="A variable is `string`, `int`, `float`, `bool`, `list` or `map`.",
            wrong="""
[variables]
number = { default = 1, type = "integer" }

[targets.web]
tags = ["example.com/web:{{ number }}"]
""",
            right="""
[variables]
number = { default = 1, type = "int" }

[targets.web]
tags = ["example.com/web:{{ number }}"]
""",
        ),
        Code.BAD_PLATFORM: Explanation(
            text="A platform is `os/architecture`, or `os/architecture/variant`.",
            wrong="""
[targets.web]
platforms = ["arm64"]
tags = ["example.com/web"]
""",
            right="""
[targets.web]
platforms = ["linux/arm64"]
tags = ["example.com/web"]
""",
        ),
        Code.BAD_IMAGE_NAME: Explanation(
            text="A tag is no name that an image can have.",
            wrong="""
[targets.web]
tags = ["Example/Web:1.0"]
""",
            right="""
[targets.web]
tags = ["example/web:1.0"]
""",
        ),
        Code.BAD_FIELDS: Explanation(
            text="A value is no list of `key=value` fields separated by commas, as BuildKit reads it, or a field is "
            "misspelt or missing.",
            wrong="""
[targets.web]
output = ['"type=local']
""",
            right="""
[targets.web]
output = ["type=local,dest=out"]
""",
        ),
        Code.BAD_DURATION: Explanation(
            text="A duration is written as hours, minutes and seconds: `90s`, `30m`, `1h30m`. It is a year at most, "
            "as `boot-timeout` a day.",
            wrong="""
[targets.web]
tags = ["example.com/web"]
timeout = "30 minutes"
""",
            right="""
[targets.web]
tags = ["example.com/web"]
timeout = "30m"
""",
        ),
        Code.BAD_SIZE: Explanation(
            text="A size is a number with a unit: `512m`, `2g`.",
            wrong="""
[targets.web]
tags = ["example.com/web"]
shm-size = "lots"
""",
            right="""
[targets.web]
tags = ["example.com/web"]
shm-size = "2g"
""",
        ),
        Code.BAD_VALUE: Explanation(
            text="`network`, `call`, `entitlements`, `annotations` or `ulimits` say what no buildx takes, or what "
            "looks like a known value misspelt.",
            wrong="""
[targets.web]
tags = ["example.com/web"]
network = "nome"
""",
            right="""
[targets.web]
tags = ["example.com/web"]
network = "none"
""",
        ),
        Code.BAD_CHECK: Explanation(
            text="A check is either a command that runs in the image or a stage of the Dockerfile.",
            wrong="""
[targets.web]
tags = ["example.com/web"]
checks = [{ run = ["web", "--version"], target = "test" }]
""",
            right="""
[targets.web]
tags = ["example.com/web"]
checks = [{ run = ["web", "--version"] }, { target = "test" }]
""",
        ),
        Code.UNKNOWN_PUBLISHING: Explanation(
            text="`publish` is `each`, where a target's tags move as soon as it is done, or `together`.",
            wrong="""
publish = "all"

[targets.web]
tags = ["example.com/web"]
""",
            right="""
publish = "together"

[targets.web]
tags = ["example.com/web"]
""",
        ),
        Code.BAD_NAME: Explanation(
            text="A name has characters that no name of its kind may have, or begins with `-` as an option of a "
            "command does.",
            wrong="""
[targets."web 2.0"]
tags = ["example.com/web"]
""",
            right="""
[targets.web-2]
tags = ["example.com/web"]
""",
        ),
        Code.UNKNOWN_TARGET: Explanation(
            text="Something refers to a target that is not there.",
            wrong="""
[targets.base]

[targets.web]
contexts = { base = "target:bsae" }
tags = ["example.com/web"]
""",
            right="""
[targets.base]

[targets.web]
contexts = { base = "target:base" }
tags = ["example.com/web"]
""",
        ),
        Code.UNKNOWN_BUILDER: Explanation(
            text="A target names a builder that is not there.",
            wrong="""
[builders.ci]

[targets.web]
builder = "c1"
tags = ["example.com/web"]
""",
            right="""
[builders.ci]

[targets.web]
builder = "ci"
tags = ["example.com/web"]
""",
        ),
        Code.DISABLED_TARGET: Explanation(
            text="Something needs or links to a target that `enabled` takes out of the plan.",
            wrong="""
[targets.base]
enabled = false

[targets.web]
contexts = { base = "target:base" }
tags = ["example.com/web"]
""",
            right="""
[targets.base]
enabled = true

[targets.web]
contexts = { base = "target:base" }
tags = ["example.com/web"]
""",
        ),
        Code.CYCLE: Explanation(
            text="Targets, groups, variables or files refer to one another in a circle.",
            wrong="""
[targets.web]
needs = ["api"]
tags = ["example.com/web"]

[targets.api]
needs = ["web"]
tags = ["example.com/api"]
""",
            right="""
[targets.web]
needs = ["api"]
tags = ["example.com/web"]

[targets.api]
tags = ["example.com/api"]
""",
        ),
        Code.GROUP_AND_TARGET: Explanation(
            text="A group and a target have one name, which would mean either.",
            wrong="""
[groups]
web = ["api"]

[targets.web]
tags = ["example.com/web"]

[targets.api]
tags = ["example.com/api"]
""",
            right="""
[groups]
all = ["web", "api"]

[targets.web]
tags = ["example.com/web"]

[targets.api]
tags = ["example.com/api"]
""",
        ),
        Code.TARGET_TWICE: Explanation(
            text="Two targets have one name: a row of a matrix has that of another row or table.",
            wrong="""
[targets.php]
matrix = { version = ["8.1", "8.2"] }
name = "php-8"
tags = ["example.com/php:{{ version }}"]
""",
            right="""
[targets.php]
matrix = { version = ["8.1", "8.2"] }
name = "php-{{ version | replace('.', '-') }}"
tags = ["example.com/php:{{ version }}"]
""",
        ),
        Code.NAME_OF_MATRIX: Explanation(
            text="A row has the name of its table, which means all rows.",
            wrong="""
[targets.php]
matrix = { suffix = ["", "-debug"] }
name = "php{{ suffix }}"
tags = ["example.com/php{{ suffix }}"]
""",
            right="""
[targets.php]
matrix = { suffix = ["", "-debug"] }
name = "php8{{ suffix }}"
tags = ["example.com/php{{ suffix }}"]
""",
        ),
        Code.NAME_WITHOUT_MATRIX: Explanation(
            text="A target has a `name` but no matrix; its table names it already.",
            wrong="""
[targets.web]
name = "website"
tags = ["example.com/web"]
""",
            right="""
[targets.website]
tags = ["example.com/web"]
""",
        ),
        Code.MATRIX_WITHOUT_NAME: Explanation(
            text="A matrix must say how each of its targets is called.",
            wrong="""
[targets.php]
matrix = { version = [7, 8] }
tags = ["example.com/php:{{ version }}"]
""",
            right="""
[targets.php]
matrix = { version = [7, 8] }
name = "php-{{ version }}"
tags = ["example.com/php:{{ version }}"]
""",
        ),
        Code.LINK_TO_MATRIX: Explanation(
            text="A context is one target; a matrix of several cannot be one.",
            wrong="""
[targets.php]
matrix = { version = [7, 8] }
name = "php-{{ version }}"

[targets.web]
contexts = { php = "target:php" }
tags = ["example.com/web"]
""",
            right="""
[targets.php]
matrix = { version = [7, 8] }
name = "php-{{ version }}"
tags = ["example.com/php:{{ version }}"]

[targets.web]
contexts = { php = "target:php-8" }
tags = ["example.com/web"]
""",
        ),
        Code.TOO_MANY_NEEDS: Explanation(
            text="The targets of a plan need more than 1,000,000 others, each counted for each that needs it. Where "
            "all of one table really need all of another, let one target stand between them.",
            wrong="""
[targets.base]
matrix = { n = "{{ range(1001) | list }}" }
name = "base-{{ n }}"
tags = ["example.com/base:{{ n }}"]

[targets.web]
matrix = { n = "{{ range(1001) | list }}" }
name = "web-{{ n }}"
needs = ["base"]
tags = ["example.com/web:{{ n }}"]
""",
            right="""
[targets.base]
matrix = { n = "{{ range(1001) | list }}" }
name = "base-{{ n }}"
tags = ["example.com/base:{{ n }}"]

[targets.web]
matrix = { n = "{{ range(1001) | list }}" }
name = "web-{{ n }}"
needs = ["base-{{ n }}"]
tags = ["example.com/web:{{ n }}"]
""",
        ),
        Code.LINK_AS_CONTEXT: Explanation(
            text="Another target can be a named context, not the main one.",
            wrong="""
[targets.base]
tags = ["example.com/base"]

[targets.web]
context = "target:base"
tags = ["example.com/web"]
""",
            right="""
[targets.base]
tags = ["example.com/base"]

[targets.web]
contexts = { base = "target:base" }
tags = ["example.com/web"]
""",
        ),
        Code.MATRIX_EMPTY: Explanation(
            text="A matrix has no rows, or one of its variables no values: it makes no targets.",
            wrong="""
[targets.php]
matrix = { version = [] }
name = "php-{{ version }}"
tags = ["example.com/php:{{ version }}"]
""",
            right="""
[targets.php]
matrix = { version = [8] }
name = "php-{{ version }}"
tags = ["example.com/php:{{ version }}"]
""",
        ),
        Code.MATRIX_TOO_LARGE: Explanation(
            text="A matrix makes more than 100,000 targets.",
            wrong="""
[targets.php]
matrix = { a = "{{ range(1000) | list }}", b = "{{ range(1000) | list }}" }
name = "php-{{ a }}-{{ b }}"
tags = ["example.com/php:{{ a }}.{{ b }}"]
""",
            right="""
[targets.php]
matrix = { a = "{{ range(10) | list }}", b = "{{ range(10) | list }}" }
name = "php-{{ a }}-{{ b }}"
tags = ["example.com/php:{{ a }}.{{ b }}"]
""",
        ),
        Code.MATRIX_HIDES_VARIABLE: Explanation(
            text="A variable of a matrix has the name of a variable of the plan.",
            wrong="""
[variables]
version = "1.0"

[targets.php]
matrix = { version = [7, 8] }
name = "php-{{ version }}"
tags = ["example.com/php:{{ version }}"]
""",
            right="""
[variables]
version = "1.0"

[targets.php]
matrix = { php = [7, 8] }
name = "php-{{ php }}"
tags = ["example.com/php:{{ php }}-{{ version }}"]
""",
        ),
        Code.EXCLUDE_UNKNOWN: Explanation(
            text="`exclude` names a variable that the matrix does not have.",
            wrong="""
[targets.php]
matrix = { version = [7, 8] }
exclude = [{ vesion = 7 }]
name = "php-{{ version }}"
tags = ["example.com/php:{{ version }}"]
""",
            right="""
[targets.php]
matrix = { version = [7, 8] }
exclude = [{ version = 7 }]
name = "php-{{ version }}"
tags = ["example.com/php:{{ version }}"]
""",
        ),
        Code.EXCLUDE_ALL: Explanation(
            text="`exclude` leaves no row of the matrix.",
            wrong="""
[targets.php]
matrix = { version = [7] }
exclude = [{ version = 7 }]
name = "php-{{ version }}"
tags = ["example.com/php:{{ version }}"]
""",
            right="""
[targets.php]
matrix = { version = [7, 8] }
exclude = [{ version = 7 }]
name = "php-{{ version }}"
tags = ["example.com/php:{{ version }}"]
""",
        ),
        Code.PLATFORM_TWICE: Explanation(
            text="A target has two tables for one platform, which has several names.",
            wrong="""
[targets.web]
platforms = ["linux/amd64", "linux/arm64"]
platform."linux/arm64".args = { FAST = "1" }
platform."linux/aarch64".args = { SMALL = "1" }
tags = ["example.com/web"]
""",
            right="""
[targets.web]
platforms = ["linux/amd64", "linux/arm64"]
platform."linux/arm64".args = { FAST = "1", SMALL = "1" }
tags = ["example.com/web"]
""",
        ),
        Code.PLATFORM_UNKNOWN: Explanation(
            text="A target differs from platform to platform but does not say for which it is built.",
            wrong="""
[targets.web]
platform."linux/arm64".args = { FAST = "1" }
tags = ["example.com/web"]
""",
            right="""
[targets.web]
platforms = ["linux/amd64", "linux/arm64"]
platform."linux/arm64".args = { FAST = "1" }
tags = ["example.com/web"]
""",
        ),
        Code.SETTING_MATCHES_NOTHING: Explanation(
            text="`--set` names no target of the plan.",
            beyond="Name one, or a pattern that matches some: `--set 'web*.args.DEBUG=1'`.",
        ),
        Code.BAD_VARIABLE_NAME: Explanation(
            text="A variable has a name that no template could use.",
            wrong="""
[variables]
web-version = "1.0"

[targets.web]
tags = ["example.com/web"]
""",
            right="""
[variables]
web_version = "1.0"

[targets.web]
tags = ["example.com/web:{{ web_version }}"]
""",
        ),
        Code.VARIABLE_WITHOUT_VALUE: Explanation(
            text="A variable has no default, and nothing else gives it a value.",
            wrong="""
[variables]
tag = { description = "what to release" }

[targets.web]
tags = ["example.com/web:{{ tag }}"]
""",
            right="""
[variables]
tag = { description = "what to release", default = "dev" }

[targets.web]
tags = ["example.com/web:{{ tag }}"]
""",
        ),
        Code.VARIABLE_TYPE: Explanation(
            text="The value of a variable is of another type than the variable.",
            wrong="""
[variables]
number = { type = "int", default = "one" }

[targets.web]
tags = ["example.com/web:{{ number }}"]
""",
            right="""
[variables]
number = { type = "int", default = 1 }

[targets.web]
tags = ["example.com/web:{{ number }}"]
""",
        ),
        Code.VARIABLE_EMPTY: Explanation(
            text="A variable that is `required` has an empty value.",
            wrong="""
[variables]
team = { default = "", required = true }

[targets.web]
labels = { team = "{{ team }}" }
tags = ["example.com/web"]
""",
            right="""
[variables]
team = { default = "front", required = true }

[targets.web]
labels = { team = "{{ team }}" }
tags = ["example.com/web"]
""",
        ),
        Code.VARIABLE_CHOICE: Explanation(
            text="The value of a variable is none of its `choices`.",
            wrong="""
[variables]
stage = { default = "test", choices = ["dev", "prod"] }

[targets.web]
tags = ["example.com/web:{{ stage }}"]
""",
            right="""
[variables]
stage = { default = "dev", choices = ["dev", "prod"] }

[targets.web]
tags = ["example.com/web:{{ stage }}"]
""",
        ),
        Code.VARIABLE_RANGE: Explanation(
            text="The value of a variable is below its `min` or above its `max`.",
            wrong="""
[variables]
jobs = { default = 0, min = 1 }

[targets.web]
args = { JOBS = "{{ jobs }}" }
tags = ["example.com/web"]
""",
            right="""
[variables]
jobs = { default = 4, min = 1 }

[targets.web]
args = { JOBS = "{{ jobs }}" }
tags = ["example.com/web"]
""",
        ),
        Code.VARIABLE_PATTERN: Explanation(
            text="The value of a variable does not match its `pattern`.",
            wrong="""
[variables]
tag = { default = "v1.0", pattern = '^[0-9.]+$' }

[targets.web]
tags = ["example.com/web:{{ tag }}"]
""",
            right="""
[variables]
tag = { default = "1.0", pattern = '^[0-9.]+$' }

[targets.web]
tags = ["example.com/web:{{ tag }}"]
""",
        ),
        Code.VARIABLE_LIMIT: Explanation(
            text="`min` and `max` are for numbers, `pattern` is for text.",
            wrong="""
[variables]
tag = { default = "1.0", min = 1 }

[targets.web]
tags = ["example.com/web:{{ tag }}"]
""",
            right="""
[variables]
tag = { default = 1.0, min = 1 }

[targets.web]
tags = ["example.com/web:{{ tag }}"]
""",
        ),
        Code.BAD_PATTERN: Explanation(
            text="A `pattern` is no regular expression of RE2.",
            wrong="""
[variables]
tag = { default = "1.0", pattern = '[0-9.' }

[targets.web]
tags = ["example.com/web:{{ tag }}"]
""",
            right="""
[variables]
tag = { default = "1.0", pattern = '[0-9.]' }

[targets.web]
tags = ["example.com/web:{{ tag }}"]
""",
        ),
        Code.SENSITIVE: Explanation(
            text="A value that nobody may see stands where somebody will: in the image, its history or a name.",
            wrong="""
[variables]
token = { env = "TOKEN", default = "not-so-secret", sensitive = true }

[targets.web]
args = { TOKEN = "{{ token }}" }
tags = ["example.com/web"]
""",
            right="""
[targets.web]
secret = ["id=token,env=TOKEN"]
tags = ["example.com/web"]
""",
        ),
        Code.SENSITIVE_TOO_SHORT: Explanation(
            text="A sensitive value is so short that hiding it would black out every other word.",
            wrong="""
[variables]
user = { default = "me", sensitive = true }

[targets.web]
context = "https://{{ user }}@example.com/web.git"
tags = ["example.com/web"]
""",
            right="""
[variables]
user = { default = "somebody", sensitive = true }

[targets.web]
context = "https://{{ user }}@example.com/web.git"
tags = ["example.com/web"]
""",
        ),
        Code.UNDEFINED_VARIABLE: Explanation(
            text="A template uses a variable, or a key of one, that is not there.",
            wrong="""
[variables]
tag = "dev"

[targets.web]
tags = ["example.com/web:{{ tags }}", "example.com/web:{{ tag }}"]
""",
            right="""
[variables]
tag = "dev"

[targets.web]
tags = ["example.com/web:{{ tag }}"]
""",
        ),
        Code.TEMPLATE_SYNTAX: Explanation(
            text="A template cannot be read.",
            wrong="""
[targets.web]
tags = ["example.com/web:{{ 1 + }}"]
""",
            right="""
[targets.web]
tags = ["example.com/web:{{ 1 + 1 }}"]
""",
        ),
        Code.TEMPLATE_SANDBOX: Explanation(
            text="A template does what no template may: reach into Python, or fill the machine.",
            wrong="""
[targets.web]
tags = ["example.com/web:{{ ''.__class__ }}"]
""",
            right="""
[targets.web]
tags = ["example.com/web:{{ 'A' | lower }}"]
""",
        ),
        Code.TEMPLATE_TOO_LARGE: Explanation(
            text="A template renders to more than a million characters.",
            wrong="""
[targets.web]
labels = { x = "{% for a in range(1000) %}{{ 'x' * 2000 }}{% endfor %}" }
tags = ["example.com/web"]
""",
            right="""
[targets.web]
labels = { x = "{% for a in range(10) %}{{ 'x' * 20 }}{% endfor %}" }
tags = ["example.com/web"]
""",
        ),
        Code.TEMPLATE_FAILED: Explanation(
            text="A template can be read but gives no value.",
            wrong="""
[targets.web]
tags = ["example.com/web:{{ 1 // 0 }}"]
""",
            right="""
[targets.web]
tags = ["example.com/web:{{ 1 // 1 }}"]
""",
        ),
        Code.UNKNOWN_FILTER: Explanation(
            text="A template uses a filter or test that is not there; `docs/templates.md` lists them.",
            wrong="""
[targets.web]
tags = ["example.com/web:{{ 'A' | lowr }}"]
""",
            right="""
[targets.web]
tags = ["example.com/web:{{ 'A' | lower }}"]
""",
        ),
        Code.GIT_FAILED: Explanation(
            text="A template asks git for something that it cannot tell.",
            beyond="Plan in a repository that has it, or give the value with a variable.",
        ),
        Code.BAD_ENDPOINT: Explanation(
            text="An endpoint is no address of a node of this driver.",
            wrong="""
[builders.ci]
nodes.arm = { endpoint = "http://10.0.0.5" }

[targets.web]
builder = "ci"
tags = ["example.com/web"]
""",
            right="""
[builders.ci]
nodes.arm = { endpoint = "ssh://10.0.0.5" }

[targets.web]
builder = "ci"
tags = ["example.com/web"]
""",
        ),
        Code.NODE_WITHOUT_ENDPOINT: Explanation(
            text="A remote node does not say where it is.",
            wrong="""
[builders.ci]
driver = "remote"
nodes.arm = { platforms = ["linux/arm64"] }

[targets.web]
builder = "ci"
tags = ["example.com/web"]
""",
            right="""
[builders.ci]
driver = "remote"
nodes.arm = { platforms = ["linux/arm64"], endpoint = "unix:///run/buildkitd.sock" }

[targets.web]
builder = "ci"
tags = ["example.com/web"]
""",
        ),
        Code.NO_TLS: Explanation(
            text="A node of another machine is reached without TLS: whoever reaches its port can do anything there.",
            wrong="""
[builders.ci]
driver = "remote"
nodes.arm = { endpoint = "tcp://10.0.0.5:1234" }

[targets.web]
tags = ["example.com/web"]
""",
            right="""
[builders.ci]
driver = "remote"
nodes.arm = { endpoint = "tcp://10.0.0.5:1234", tls = { ca = "ca.crt", cert = "me.crt", key = "me.key" } }

[targets.web]
tags = ["example.com/web"]
""",
        ),
        Code.TLS_MISPLACED: Explanation(
            text="A node has `tls`, or a part of it, that the way to it has no use for.",
            wrong="""
[builders.ci]
nodes.arm = { endpoint = "ssh://10.0.0.5", tls = { ca = "ca.crt" } }

[targets.web]
tags = ["example.com/web"]
""",
            right="""
[builders.ci]
nodes.arm = { endpoint = "tcp://10.0.0.5:2376", tls = { ca = "ca.crt" } }

[targets.web]
tags = ["example.com/web"]
""",
        ),
        Code.TLS_PAIR: Explanation(
            text="A client certificate is of no use without its key, nor the key without it.",
            wrong="""
[builders.ci]
driver = "remote"
nodes.arm = { endpoint = "tcp://10.0.0.5:1234", tls = { cert = "me.crt" } }

[targets.web]
tags = ["example.com/web"]
""",
            right="""
[builders.ci]
driver = "remote"
nodes.arm = { endpoint = "tcp://10.0.0.5:1234", tls = { cert = "me.crt", key = "me.key" } }

[targets.web]
tags = ["example.com/web"]
""",
        ),
        Code.BAD_CERTIFICATE: Explanation(
            text="A file of `tls` is not what it must be, or has expired.",
            beyond="What each must be is told in `docs/builders.md`.",
        ),
        Code.BUILDER_NAME_TWICE: Explanation(
            text="Two builders have names that differ in case only. To buildx they are one.",
            wrong="""
[builders.CI]
nodes.amd = {}

[builders.ci]
nodes.arm = {}

[targets.web]
builder = "ci"
tags = ["example.com/web"]
""",
            right="""
[builders.ci]
nodes.amd = {}

[builders.release]
nodes.arm = {}

[targets.web]
builder = "ci"
tags = ["example.com/web"]
""",
        ),
        Code.NODE_NAME_TWICE: Explanation(
            text="Two nodes would have one name in buildx, which is made of those of builder and node.",
            wrong="""
[builders.ci]
nodes.arm-1 = {}

[builders.ci-arm]
nodes.1 = {}

[targets.web]
builder = "ci"
tags = ["example.com/web"]
""",
            right="""
[builders.ci]
nodes.arm-1 = {}

[builders.ci-arm]
nodes.2 = {}

[targets.web]
builder = "ci"
tags = ["example.com/web"]
""",
        ),
        Code.ENDPOINT_TWICE: Explanation(
            text="Two nodes of a builder have one endpoint.",
            wrong="""
[builders.ci]
nodes.amd = { endpoint = "ssh://10.0.0.5" }
nodes.arm = { endpoint = "ssh://10.0.0.5" }

[targets.web]
builder = "ci"
tags = ["example.com/web"]
""",
            right="""
[builders.ci]
nodes.amd = { endpoint = "ssh://10.0.0.5" }
nodes.arm = { endpoint = "ssh://10.0.0.6" }

[targets.web]
builder = "ci"
tags = ["example.com/web"]
""",
        ),
        Code.DEFAULT_REMOTE: Explanation(
            text="The default driver is `remote`, but the default builder has no nodes.",
            wrong="""
[defaults.builder]
driver = "remote"

[targets.web]
tags = ["example.com/web"]
""",
            right="""
[defaults.builder]
driver = "remote"

[builders.ci]
nodes.arm = { endpoint = "unix:///run/buildkitd.sock" }

[targets.web]
builder = "ci"
tags = ["example.com/web"]
""",
        ),
        Code.OPTION_OF_OTHER_DRIVER: Explanation(
            text="A builder or node has an option that its driver does not know; see `docs/reference.md`.",
            wrong="""
[builders.ci]
driver = "docker"
memory = "8g"

[targets.web]
builder = "ci"
tags = ["example.com/web"]
""",
            right="""
[builders.ci]
driver = "docker-container"
memory = "8g"

[targets.web]
builder = "ci"
tags = ["example.com/web"]
""",
        ),
        Code.BAD_OPTION: Explanation(
            text="The value of a driver's option is none that the driver takes.",
            wrong="""
[builders.ci]
memory = "8 gigabytes"

[targets.web]
builder = "ci"
tags = ["example.com/web"]
""",
            right="""
[builders.ci]
memory = "8g"

[targets.web]
builder = "ci"
tags = ["example.com/web"]
""",
        ),
        Code.TWO_CONFIGURATIONS: Explanation(
            text="One BuildKit is to have two configurations.",
            wrong="""
[builders.ci]
config = "buildkitd.toml"
buildkitd = { debug = true }

[targets.web]
builder = "ci"
tags = ["example.com/web"]
""",
            right="""
[builders.ci]
buildkitd = { debug = true }

[targets.web]
builder = "ci"
tags = ["example.com/web"]
""",
        ),
        Code.EXTERNAL_BUILDER: Explanation(
            text="The plan says what an external builder is like: that is up to whoever made it.",
            wrong="""
[builders.ci]
external = true
memory = "8g"

[targets.web]
builder = "ci"
tags = ["example.com/web"]
""",
            right="""
[builders.ci]
memory = "8g"

[targets.web]
builder = "ci"
tags = ["example.com/web"]
""",
        ),
        Code.PUSH_WITHOUT_TAGS: Explanation(
            text="A target is pushed but has no tags, which say where to.",
            wrong="""
[targets.web]
push = true
""",
            right="""
[targets.web]
tags = ["example.com/web"]
push = true
""",
        ),
        Code.NEEDS_TOGETHER: Explanation(
            text="A target waits for tags that move only when it is built itself: link to the other one instead.",
            wrong="""
publish = "together"

[targets.base]
tags = ["example.com/base"]
push = true

[targets.web]
needs = ["base"]
tags = ["example.com/web"]
push = true
""",
            right="""
publish = "together"

[targets.base]
tags = ["example.com/base"]
push = true

[targets.web]
contexts = { base = "target:base" }
tags = ["example.com/web"]
push = true
""",
        ),
        Code.TAG_TWICE: Explanation(
            text="Two targets push the same tag, so the second push would replace the first. "
            "A run that builds only one of them is allowed.",
            wrong="""
[targets.web]
tags = ["web"]
push = true

[targets.api]
tags = ["docker.io/library/web:latest"]
push = true
""",
            right="""
[targets.web]
tags = ["web"]
push = true

[targets.api]
tags = ["api"]
push = true
""",
        ),
        Code.OUTPUT_NAMES_IMAGE: Explanation(
            text="The name of an image, or `push-by-digest`, stands in `output`; mpbake gives names with `tags`.",
            wrong="""
[targets.web]
tags = ["example.com/web"]
output = ["type=registry,name=example.com/website"]
""",
            right="""
[targets.web]
tags = ["example.com/web", "example.com/website"]
output = ["type=registry"]
""",
        ),
        Code.OUTPUT_NAMES_NO_FILE: Explanation(
            text="An output that is one file names none, or `-`: buildx would write it to standard output, which a run "
            "does not hand on.",
            wrong="""
[targets.web]
output = ["type=tar"]
""",
            right="""
[targets.web]
output = ["type=tar,dest=web.tar"]
""",
        ),
        Code.OUTPUT_DELETES: Explanation(
            text="An output with `mode=delete` names a folder that holds something else: the plan, a build context, or "
            "what another target of the run writes. The build would delete it.",
            wrong="""
[targets.web]
output = ["type=local,dest=.,mode=delete"]
""",
            right="""
[targets.web]
output = ["type=local,dest=out,mode=delete"]
""",
        ),
        Code.LOOPBACK_REGISTRY: Explanation(
            text="A node of another machine is to push to `localhost`, which is itself to it.",
            wrong="""
[builders.ci]
nodes.arm = { endpoint = "ssh://10.0.0.5" }

[targets.web]
builder = "ci"
tags = ["localhost:5000/web"]
push = true
""",
            right="""
[builders.ci]
nodes.arm = { endpoint = "ssh://10.0.0.5" }

[targets.web]
builder = "ci"
tags = ["10.0.0.4:5000/web"]
push = true
""",
        ),
        Code.NO_NODE: Explanation(
            text="No node of the builder builds a platform of the target, not even by emulation.",
            beyond="What a node emulates, only the node can tell. Add a node for the platform, or take it away.",
        ),
        Code.EMULATION_FORBIDDEN: Explanation(
            text="A platform could only be emulated, which the builder forbids.",
            beyond="Whether a node emulates, only the node can tell. Add a native node, or allow emulation.",
        ),
        Code.LINK_LACKS_PLATFORM: Explanation(
            text="A target is built for a platform that a target which it links to is not built for.",
            wrong="""
[targets.base]
platforms = ["linux/amd64", "linux/386"]

[targets.web]
contexts = { base = "target:base" }
platforms = ["linux/amd64", "linux/arm64"]
tags = ["example.com/web"]
""",
            right="""
[targets.base]
platforms = ["linux/amd64", "linux/arm64"]

[targets.web]
contexts = { base = "target:base" }
platforms = ["linux/amd64", "linux/arm64"]
tags = ["example.com/web"]
""",
        ),
        Code.SPLIT_PUSH: Explanation(
            text="A target whose platforms are not built together cannot be pushed by the engine's own builder.",
            wrong="""
[builders.engine]
driver = "docker"

[targets.web]
builder = "engine"
platforms = ["linux/amd64", "linux/arm64"]
platform."linux/arm64".args = { FAST = "1" }
tags = ["example.com/web"]
push = true
""",
            right="""
[builders.engine]
driver = "docker-container"

[targets.web]
builder = "engine"
platforms = ["linux/amd64", "linux/arm64"]
platform."linux/arm64".args = { FAST = "1" }
tags = ["example.com/web"]
push = true
""",
        ),
        Code.SPLIT_OUTPUT: Explanation(
            text="A target whose platforms are built on several nodes cannot be written to one file, nor to a folder "
            "with `mode=delete`, where each node would delete what the others wrote.",
            wrong="""
[builders.ci]
nodes.arm = { endpoint = "ssh://10.0.0.5", platforms = ["linux/arm64"] }
nodes.amd = { endpoint = "ssh://10.0.0.6", platforms = ["linux/amd64"] }

[targets.web]
builder = "ci"
platforms = ["linux/amd64", "linux/arm64"]
output = ["type=tar,dest=web.tar"]
""",
            right="""
[builders.ci]
nodes.arm = { endpoint = "ssh://10.0.0.5", platforms = ["linux/arm64"] }
nodes.amd = { endpoint = "ssh://10.0.0.6", platforms = ["linux/amd64"] }

[targets.web]
builder = "ci"
platforms = ["linux/amd64", "linux/arm64"]
output = ["type=local,dest=out"]
""",
        ),
        Code.NEEDS_BUILDX: Explanation(
            text="An attribute, or an option of a builder, works in a newer buildx than the one found, which would "
            "ignore the one and refuse the other.",
            beyond="Install a newer buildx, or take it away.",
        ),
        Code.CALL_MAKES_NOTHING: Explanation(
            text="A target whose `call` is not `build` has no image to push, load or write.",
            wrong="""
[targets.web]
call = "check"
tags = ["example.com/web"]
push = true
""",
            right="""
[targets.web]
call = "check"
tags = ["example.com/web"]
""",
        ),
        Code.MISSING_FOLDER: Explanation(
            text="A context is a folder that is not there.",
            wrong="""
[targets.web]
context = "nowhere"
tags = ["example.com/web"]
""",
            right="""
[targets.web]
context = "."
tags = ["example.com/web"]
""",
        ),
        Code.MISSING_DOCKERFILE: Explanation(
            text="There is no such Dockerfile in the context.",
            wrong="""
[targets.web]
dockerfile = "web.dockerfile"
tags = ["example.com/web"]
""",
            right="""
[targets.web]
dockerfile = "Dockerfile"
tags = ["example.com/web"]
""",
        ),
        Code.MISSING_FILE: Explanation(
            text="A secret, a key for `ssh`, the `config` of a builder or node, or a certificate or key of a node's "
            "`tls` is a file that is not there. Where only the id of a secret is given, there is neither a variable "
            "nor, in the plan's folder, a file of that name.",
            wrong="""
[targets.web]
secret = ["id=token,src=token.txt"]
tags = ["example.com/web"]
""",
            right="""
[targets.web]
secret = ["id=token,env=TOKEN"]
tags = ["example.com/web"]
""",
        ),
        Code.UNUSED_VARIABLE: Explanation(
            text="No template uses a variable: it is left over, or misspelt where it is used.",
            wrong="""
[variables]
tag = "dev"

[targets.web]
tags = ["example.com/web:tag"]
""",
            right="""
[variables]
tag = "dev"

[targets.web]
tags = ["example.com/web:{{ tag }}"]
""",
        ),
        Code.UNUSED_TEMPLATE: Explanation(
            text="No target inherits a template.",
            wrong="""
[targets._image]
platforms = ["linux/amd64", "linux/arm64"]

[targets.web]
tags = ["example.com/web"]
""",
            right="""
[targets._image]
platforms = ["linux/amd64", "linux/arm64"]

[targets.web]
inherits = ["_image"]
tags = ["example.com/web"]
""",
        ),
        Code.GOES_NOWHERE: Explanation(
            text="A target is built, and nobody gets the result.",
            wrong="""
[targets.web]
context = "."
""",
            right="""
[targets.web]
context = "."
output = ["type=local,dest=out"]
""",
        ),
        Code.BAKE_TEMPLATE: Explanation(
            text="A value holds a variable of the plan as bake writes it, which is text like any other here.",
            wrong="""
[variables]
tag = "1"

[targets.web]
args = { VERSION = "${TAG}" }
tags = ["example.com/web:{{ tag }}"]
""",
            right="""
[variables]
tag = "1"

[targets.web]
args = { VERSION = "{{ tag }}" }
tags = ["example.com/web:{{ tag }}"]
""",
        ),
        Code.TEMPLATE_IN_KEY: Explanation(
            text="A key holds a template; only values are filled in, and a key is taken as it is.",
            wrong="""
[targets.web]
labels = { "{{ 'team' }}" = "shop" }
tags = ["example.com/web"]
""",
            right="""
[targets.web]
labels = { team = "shop" }
tags = ["example.com/web"]
""",
        ),
        Code.PLATFORM_NOT_BUILT: Explanation(
            text="A table for a platform has no effect: no target that has it is built for that platform.",
            wrong="""
[targets.web]
platforms = ["linux/arm64"]
tags = ["example.com/web"]

[targets.web.platform."linux/arm46"]
args = { FAST = "1" }
""",
            right="""
[targets.web]
platforms = ["linux/arm64"]
tags = ["example.com/web"]

[targets.web.platform."linux/arm64"]
args = { FAST = "1" }
""",
        ),
        Code.DOUBTFUL_VALUE: Explanation(
            text="A platform looks like a known one that is misspelt, or a limit, a `call` or an entitlement is none "
            "that is known; a later buildx may know more.",
            wrong="""
[targets.web]
platforms = ["linux/amd46"]
tags = ["example.com/web"]
""",
            right="""
[targets.web]
platforms = ["linux/amd64"]
tags = ["example.com/web"]
""",
        ),
        Code.CHECK_NEVER_RUN: Explanation(
            text="A check is only for platforms that its target is not built for.",
            wrong="""
[targets.web]
platforms = ["linux/arm64"]
tags = ["example.com/web"]
checks = [{ run = ["web", "--version"], platforms = ["linux/amd64"] }]
""",
            right="""
[targets.web]
platforms = ["linux/arm64"]
tags = ["example.com/web"]
checks = [{ run = ["web", "--version"] }]
""",
        ),
        Code.UNLINKED_BASE: Explanation(
            text="A Dockerfile is built `FROM` a name that is a target's, but its target does not link to that one: "
            "whatever image has this name elsewhere is taken, `docker.io/library/base` for example.",
            wrong="""
[targets.base]
output = ["type=cacheonly"]
dockerfile-inline = "FROM scratch"

[targets.web]
tags = ["example.com/web"]
dockerfile-inline = "FROM base"
""",
            right="""
[targets.base]
dockerfile-inline = "FROM scratch"

[targets.web]
tags = ["example.com/web"]
contexts = { base = "target:base" }
dockerfile-inline = "FROM base"
""",
        ),
        Code.FOREIGN_BASE: Explanation(
            text="A Dockerfile is built `FROM` a linked target that declares a single platform, for others than that. "
            "Such a target serves all with the one that it has, which is good for files to be copied. What is built "
            "`FROM` it holds its programs, whatever platform the image says it is for.",
            wrong="""
[targets.base]
platforms = ["linux/amd64"]
dockerfile-inline = "FROM alpine"

[targets.web]
platforms = ["linux/amd64", "linux/arm64"]
tags = ["example.com/web"]
contexts = { base = "target:base" }
dockerfile-inline = "FROM base"
""",
            right="""
[targets.base]
platforms = ["linux/amd64", "linux/arm64"]
dockerfile-inline = "FROM alpine"

[targets.web]
platforms = ["linux/amd64", "linux/arm64"]
tags = ["example.com/web"]
contexts = { base = "target:base" }
dockerfile-inline = "FROM base"
""",
        ),
        Code.SHARED_CACHE: Explanation(
            text="Several nodes write one cache, of which only what the last of them wrote stays.",
            wrong="""
[builders.ci]
nodes.arm = { endpoint = "ssh://10.0.0.5", platforms = ["linux/arm64"] }
nodes.amd = { endpoint = "ssh://10.0.0.6", platforms = ["linux/amd64"] }

[targets.web]
builder = "ci"
platforms = ["linux/amd64", "linux/arm64"]
cache-to = ["type=registry,ref=example.com/cache:web"]
tags = ["example.com/web"]
""",
            right="""
[builders.ci]
nodes.arm = { endpoint = "ssh://10.0.0.5", platforms = ["linux/arm64"] }
nodes.amd = { endpoint = "ssh://10.0.0.6", platforms = ["linux/amd64"] }

[targets.web]
builder = "ci"
platforms = ["linux/amd64", "linux/arm64"]
cache-to = ["type=registry,ref=example.com/cache:web-{{ platform.slug }}"]
tags = ["example.com/web"]
""",
        ),
        Code.EMULATED: Explanation(
            text="A platform is emulated, which takes five to ten times as long.",
            beyond='Whether a node emulates, only the node can tell. `emulation = "allow"` says that it is meant.',
        ),
        Code.INSECURE_NODE: Explanation(
            text="A node of another machine is used without TLS, as the plan accepts.",
            wrong="""
[builders.ci]
driver = "remote"
nodes.arm = { endpoint = "tcp://10.0.0.5:1234", insecure = true }

[targets.web]
tags = ["example.com/web"]
""",
            right="""
[builders.ci]
driver = "remote"
nodes.arm = { endpoint = "tcp://10.0.0.5:1234", tls = { ca = "ca.crt", cert = "me.crt", key = "me.key" } }

[targets.web]
tags = ["example.com/web"]
""",
        ),
        Code.DOUBTFUL_CERTIFICATE: Explanation(
            text="A certificate of a node ends soon, or another authority signed it than the node's own.",
            beyond="`certificate-days` of the builder says how soon is soon.",
        ),
        Code.PLACED_BY_BUILDX: Explanation(
            text="An external builder has a driver of which mpbake knows nothing, or is not there.",
            beyond="buildx then chooses among its nodes, and all platforms of a target are built in one piece.",
        ),
    }
)


_HEAD = """# What can be wrong with a plan

`mpbake check` tells all that is wrong with a plan, and what is probably not meant: each with its place, the line, a
mark below what is to blame, what is wrong, and what would be right. It reads files of this machine and nothing else.
This page is made from the code: `make docs` writes it.

Every other command that reads the plan stops with the same errors, with two exceptions:

- where something is built (`no-node`, `split-push` and the like) matters to `plan` and `run` alone, for their own
  targets;
- files that the plan names (`missing-folder`, `missing-dockerfile`, `missing-file`, `bad-certificate`) are looked for
  by `run`, for its own targets, before anything starts; those of a node's `tls` by `builders plan` and `builders up`
  too. `plan`, `list`, `show`, `export` and `verify` look for none: a plan can be reviewed where they are not.

```console
$ mpbake check
build.toml:3:9: targets.web.tags[0]: "Web" is not an image name: write [registry/]repository[:tag], the repository in \
lower case [bad-image-name]
    tags = ["Web"]
            ^^^^^
1 error; fix this and run mpbake check again: there may be more
```

It exits with 0, or with 3 where something is wrong; with `--strict` warnings count, too. Problems come in stages: TOML,
then the shape of tables, then what they mean, then where it is built, files and warnings. Each stage tells all that it
finds (of one template or text the first mistake), and the next one begins when it finds nothing; but where what tables
mean is wrong, places and files of the targets that are right by themselves are looked at all the same. As long as
something was not looked at, the last line says that more may be found.

`--format github` prints annotations for a workflow. `--format json` prints `format`, which is 1, and `diagnostics`, a
list in order of place, each with these fields, all of which are always there:

| field | |
|---|---|
| `code` | one of those below; it keeps its meaning |
| `severity` | `error` or `warning` |
| `message`, `hint` | for people; they may change, and `hint` may be empty |
| `file` | as seen from where mpbake was started, or its whole path where that is far away; or empty |
| `line`, `column`, `length` | what is to blame, counted in characters from 1; 0: not known |
| `key` | where it stands, as a list of keys and indexes: `["targets", "web", "tags", 0]` |
| `excerpt` | the line itself, cut off after 2000 characters; or empty |

`format` rises when a field goes away or changes its meaning; new fields may come at any time.

## The codes

The examples lack their first line, `version = 1`, and lie beside a Dockerfile.
"""


def diagnostics_page() -> str:
    """`docs/diagnostics.md`: every code with its explanation, in their order."""
    return _HEAD + "".join(_section(code, EXPLANATIONS[code]) for code in Code)


def _section(code: Code, explanation: Explanation) -> str:
    kind = "A warning. " if code.severity is Severity.WARNING else ""
    section = f"\n### {code}\n\n{kind}{explanation.text}"
    if explanation.beyond:
        return f"{section} {explanation.beyond}\n"
    return f"{section}\n\n```toml\n# wrong{explanation.wrong}```\n\n```toml\n# right{explanation.right}```\n"
