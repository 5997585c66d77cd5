"""The codes of all plan errors and warnings: short, stable, and explained in `docs/diagnostics.md`."""

from __future__ import annotations

from enum import StrEnum


class Severity(StrEnum):
    """The severity of a diagnostic. mpbake runs a plan with warnings, but the run may not do what the author wants."""

    ERROR = "error"
    WARNING = "warning"


class Code(StrEnum):
    """The identifier of a kind of diagnostic. A code never changes its meaning, and a retired code is never reused."""

    # Reading a file
    NO_PLAN = "no-plan"
    FILE_UNREADABLE = "file-unreadable"
    FILE_ENCODING = "file-encoding"
    TOML_SYNTAX = "toml-syntax"
    JSON_SYNTAX = "json-syntax"
    HCL_SYNTAX = "hcl-syntax"
    BAKE_VALUES = "bake-values"
    YAML_SYNTAX = "yaml-syntax"
    COMPOSE_VALUES = "compose-values"
    DUPLICATE_KEY = "duplicate-key"
    TOO_DEEP = "too-deep"
    PLAN_TOO_LARGE = "plan-too-large"
    NUMBER_TOO_LONG = "number-too-long"
    BAD_INCLUDE = "bad-include"
    OUTSIDE_FILE = "outside-file"
    BAD_REQUIREMENT = "bad-requirement"
    OTHER_MPBAKE = "other-mpbake"
    # Keys and values of a table
    UNKNOWN_TABLE = "unknown-table"
    UNKNOWN_KEY = "unknown-key"
    MISSING_KEY = "missing-key"
    WRONG_TYPE = "wrong-type"
    OUT_OF_RANGE = "out-of-range"
    PLAN_VERSION = "plan-version"
    UNKNOWN_DRIVER = "unknown-driver"
    UNKNOWN_EMULATION = "unknown-emulation"
    UNKNOWN_EMULATORS = "unknown-emulators"
    UNKNOWN_TYPE = "unknown-type"
    BAD_PLATFORM = "bad-platform"
    BAD_IMAGE_NAME = "bad-image-name"
    BAD_FIELDS = "bad-fields"
    BAD_DURATION = "bad-duration"
    BAD_SIZE = "bad-size"
    BAD_VALUE = "bad-value"
    BAD_CHECK = "bad-check"
    UNKNOWN_PUBLISHING = "unknown-publishing"
    # Names and references
    BAD_NAME = "bad-name"
    UNKNOWN_TARGET = "unknown-target"
    UNKNOWN_BUILDER = "unknown-builder"
    DISABLED_TARGET = "disabled-target"
    CYCLE = "cycle"
    TARGET_TWICE = "target-twice"
    NAME_OF_MATRIX = "name-of-matrix"
    NAME_WITHOUT_MATRIX = "name-without-matrix"
    MATRIX_WITHOUT_NAME = "matrix-without-name"
    LINK_TO_MATRIX = "link-to-matrix"
    LINK_AS_CONTEXT = "link-as-context"
    TOO_MANY_NEEDS = "too-many-needs"
    # Matrices
    MATRIX_EMPTY = "matrix-empty"
    MATRIX_TOO_LARGE = "matrix-too-large"
    MATRIX_HIDES_VARIABLE = "matrix-hides-variable"
    EXCLUDE_UNKNOWN = "exclude-unknown"
    EXCLUDE_ALL = "exclude-all"
    # Platforms
    PLATFORM_TWICE = "platform-twice"
    PLATFORM_UNKNOWN = "platform-unknown"
    # The command line
    SETTING_MATCHES_NOTHING = "setting-matches-nothing"
    # Variables and templates
    BAD_VARIABLE_NAME = "bad-variable-name"
    VARIABLE_WITHOUT_VALUE = "variable-without-value"
    VARIABLE_TYPE = "variable-type"
    VARIABLE_EMPTY = "variable-empty"
    VARIABLE_CHOICE = "variable-choice"
    VARIABLE_RANGE = "variable-range"
    VARIABLE_PATTERN = "variable-pattern"
    VARIABLE_LIMIT = "variable-limit"
    BAD_PATTERN = "bad-pattern"
    SENSITIVE = "sensitive"
    SENSITIVE_TOO_SHORT = "sensitive-too-short"
    UNDEFINED_VARIABLE = "undefined-variable"
    TEMPLATE_SYNTAX = "template-syntax"
    TEMPLATE_SANDBOX = "template-sandbox"
    TEMPLATE_TOO_LARGE = "template-too-large"
    TEMPLATE_FAILED = "template-failed"
    UNKNOWN_FILTER = "unknown-filter"
    BAD_FUNCTION = "bad-function"
    WRONG_ARGUMENTS = "wrong-arguments"
    NAME_TAKEN = "name-taken"
    GIT_FAILED = "git-failed"
    # Builders and nodes
    BAD_ENDPOINT = "bad-endpoint"
    NODE_WITHOUT_ENDPOINT = "node-without-endpoint"
    NO_TLS = "no-tls"
    TLS_MISPLACED = "tls-misplaced"
    TLS_PAIR = "tls-pair"
    DEPLOY_MISPLACED = "deploy-misplaced"
    BAD_CERTIFICATE = "bad-certificate"
    BUILDER_NAME_TWICE = "builder-name-twice"
    NODE_NAME_TWICE = "node-name-twice"
    ENDPOINT_TWICE = "endpoint-twice"
    DEFAULT_REMOTE = "default-remote"
    OPTION_OF_OTHER_DRIVER = "option-of-other-driver"
    BAD_OPTION = "bad-option"
    TWO_CONFIGURATIONS = "two-configurations"
    EXTERNAL_BUILDER = "external-builder"
    # Tags and outputs of a target
    PUSH_WITHOUT_TAGS = "push-without-tags"
    NEEDS_TOGETHER = "needs-together"
    TAG_TWICE = "tag-twice"
    OUTPUT_NAMES_IMAGE = "output-names-image"
    OUTPUT_NAMES_NO_FILE = "output-names-no-file"
    OUTPUT_DELETES = "output-deletes"
    LOOPBACK_REGISTRY = "loopback-registry"
    # Placement
    NO_NODE = "no-node"
    EMULATION_FORBIDDEN = "emulation-forbidden"
    LINK_LACKS_PLATFORM = "link-lacks-platform"
    SPLIT_PUSH = "split-push"
    SPLIT_OUTPUT = "split-output"
    # Limits of buildx
    NEEDS_BUILDX = "needs-buildx"
    CALL_MAKES_NOTHING = "call-makes-nothing"
    # Files on this machine
    MISSING_FOLDER = "missing-folder"
    MISSING_DOCKERFILE = "missing-dockerfile"
    MISSING_FILE = "missing-file"
    # Warnings
    UNUSED_VARIABLE = "unused-variable"
    UNUSED_TEMPLATE = "unused-template"
    GOES_NOWHERE = "goes-nowhere"
    BAKE_TEMPLATE = "bake-template"
    TEMPLATE_IN_KEY = "template-in-key"
    PLATFORM_NOT_BUILT = "platform-not-built"
    DOUBTFUL_VALUE = "doubtful-value"
    CHECK_NEVER_RUN = "check-never-run"
    UNLINKED_BASE = "unlinked-base"
    FOREIGN_BASE = "foreign-base"
    SHARED_CACHE = "shared-cache"
    EMULATED = "emulated"
    INSECURE_NODE = "insecure-node"
    DOUBTFUL_CERTIFICATE = "doubtful-certificate"
    EXPOSED_KEY = "exposed-key"
    PLACED_BY_BUILDX = "placed-by-buildx"
    UNREAD_FILE = "unread-file"

    @property
    def severity(self) -> Severity:
        """Whether the code is an error or a warning."""
        return Severity.WARNING if self in _WARNINGS else Severity.ERROR


_WARNINGS = frozenset(
    {
        Code.UNUSED_VARIABLE,
        Code.UNUSED_TEMPLATE,
        Code.GOES_NOWHERE,
        Code.BAKE_TEMPLATE,
        Code.TEMPLATE_IN_KEY,
        Code.PLATFORM_NOT_BUILT,
        Code.DOUBTFUL_VALUE,
        Code.CHECK_NEVER_RUN,
        Code.UNLINKED_BASE,
        Code.FOREIGN_BASE,
        Code.SHARED_CACHE,
        Code.EMULATED,
        Code.INSECURE_NODE,
        Code.DOUBTFUL_CERTIFICATE,
        Code.EXPOSED_KEY,
        Code.PLACED_BY_BUILDX,
        Code.UNREAD_FILE,
    }
)
