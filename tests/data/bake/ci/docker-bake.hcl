# The variables come from the CI system.

variable "GITHUB_REF_NAME" { default = "main" }
variable "GITHUB_SHA" { default = "" }
variable "GITHUB_REPOSITORY" { default = "Example/App" }
variable "CACHE_SCOPE" { default = null }
variable "NIGHTLY" { default = "0" }

function "is_release" {
  params = []
  result = length(regexall("^v[0-9]", GITHUB_REF_NAME)) > 0
}

function "cache" {
  params = [direction, scope]
  result = GITHUB_SHA == "" ? "" : "type=gha,scope=${coalesce(CACHE_SCOPE, scope)}${direction == "to" ? ",mode=max" : ""}"
}

group "default" { targets = ["app"] }

target "app" {
  tags = compact([
    "ghcr.io/${lower(GITHUB_REPOSITORY)}:${replace(GITHUB_REF_NAME, "/", "-")}",
    GITHUB_SHA != "" ? "ghcr.io/${lower(GITHUB_REPOSITORY)}:sha-${substr(GITHUB_SHA, 0, 7)}" : "",
    is_release() ? "ghcr.io/${lower(GITHUB_REPOSITORY)}:${trimprefix(GITHUB_REF_NAME, "v")}" : "",
  ])
  cache-from = [cache("from", "app")]
  cache-to   = [cache("to", "app")]
  args = {
    REF     = try(regex("^release/(.*)$", GITHUB_REF_NAME)[0], "none")
    NIGHTLY = equal(NIGHTLY, "1") ? "yes" : "no"
    BUCKET  = and(NIGHTLY != "0", is_release()) ? "stable" : "unstable"
  }
  labels = {
    "org.opencontainers.image.revision" = GITHUB_SHA != "" ? GITHUB_SHA : null
    "org.opencontainers.image.source"   = format("https://github.com/%s", GITHUB_REPOSITORY)
  }
}
