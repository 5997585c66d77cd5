# The images of the web shop.
#
#   docker buildx bake            the images for this machine
#   docker buildx bake release    the images for all platforms

variable "REGISTRY" {
  default = "registry.example.com/shop"
}

# The tag of a release. Without it, images get the tag "dev".
variable "VERSION" {
  default = ""
}

variable "NODE_VERSION" {
  default = "22"
}

group "default" {
  targets = ["storefront", "admin"]
}

group "release" {
  targets = ["storefront-all", "admin-all"]
}

group "validate" {
  targets = ["lint", "test"]
}

// CI overrides this target with a file of its own.
target "docker-metadata-action" {
  tags = ["${REGISTRY}/local:dev"]
}

target "_common" {
  args = {
    NODE_VERSION = NODE_VERSION
    BUILDKIT_CONTEXT_KEEP_GIT_DIR = 1
  }
}

target "_platforms" {
  platforms = [
    "linux/amd64",
    "linux/arm64",
    "linux/arm/v7", # the tills in the shops
  ]
}

target "storefront" {
  inherits = ["_common", "docker-metadata-action"]
  context  = "storefront"
  tags     = ["${REGISTRY}/storefront:${VERSION != "" ? VERSION : "dev"}"]
  output   = ["type=docker"]
}

target "storefront-all" {
  inherits = ["storefront", "_platforms"]
  output   = ["type=image"]
}

target "admin" {
  inherits   = ["_common"]
  context    = "."
  dockerfile = "admin/Dockerfile"
  tags       = ["${REGISTRY}/admin:${VERSION != "" ? VERSION : "dev"}"]
}

target "admin-all" {
  inherits = ["admin", "_platforms"]
}

target "lint" {
  inherits   = ["_common"]
  dockerfile = "tools/lint.Dockerfile"
  output     = ["type=cacheonly"]
}

target "test" {
  inherits = ["_common"]
  target   = "test-results"
  output   = ["./build/reports"]
  no-cache-filter = ["test"]
}
