// Images with compilers. Each image has a tag for the exact version, for the minor version, and "latest".

variable "REPOSITORY" { default = "example/languages" }
variable "MIRRORS" { default = "" }
variable "PYTHON" { default = "3.14.1" }
variable "RUST" { default = "1.92.0" }
variable "GO" { default = "1.25.5" }
variable "LATEST" { default = true }
variable "SUFFIX" { default = null }

// "1.92.0" → "1.92"
function "minor" {
  params = [version]
  result = join(".", slice(split(".", version), 0, 2))
}

function "image" {
  params = [language, tag]
  result = "docker.io/${REPOSITORY}/${language}:${tag}${SUFFIX != null ? "-${SUFFIX}" : ""}"
}

function "tags" {
  params = [language, version]
  result = [
    image(language, version),
    image(language, minor(version)),
    LATEST ? image(language, "latest") : "",
    MIRRORS != "" ? "${MIRRORS}/${language}:${version}" : "",
  ]
}

function "labels" {
  params = [title, version]
  result = {
    "org.opencontainers.image.title"   = title(title)
    "org.opencontainers.image.version" = version
    "com.example.major"                = split(".", version)[0]
  }
}

# The first text that is not empty.
function "first" {
  params          = [fallback]
  variadic_params = values
  result          = try(compact(values)[0], fallback)
}

group "default" {
  targets = ["python", "rust", "go"]
}

target "python" {
  context = "python"
  args = {
    PYTHON_VERSION = PYTHON
    BASE           = first("debian:13", MIRRORS, "")
  }
  tags   = tags("python", PYTHON)
  labels = labels("python", PYTHON)
}

target "rust" {
  context = "rust"
  args    = { RUST_VERSION = RUST }
  tags    = tags("rust", RUST)
  labels  = labels("rust", RUST)
}

target "go" {
  context = "go"
  args    = { GO_VERSION = GO }
  tags    = concat(tags("go", GO), [image("golang", GO)])
  labels  = merge(labels("go", GO), { "com.example.cgo" = "false" })
}
