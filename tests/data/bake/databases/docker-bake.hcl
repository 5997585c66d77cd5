# Databases in several versions, each on two distributions.

variable "REGISTRY" {
  default = "ghcr.io/example"
}

variable "REVISION" {
  default = "1"
}

group "default" {
  targets = ["postgres", "cache"]
}

target "_base" {
  platforms = ["linux/amd64", "linux/arm64"]
  labels = {
    "org.opencontainers.image.revision" = REVISION
  }
}

target "_debian" {
  args = { PACKAGES = "ca-certificates tzdata" }
}

target "_alpine" {
  args = { PACKAGES = "ca-certificates tzdata musl-locales" }
}

target "postgres" {
  name = "postgres-${replace(pg.version, ".", "-")}-${distribution}"
  matrix = {
    pg = [
      { version = "18.1", extensions = ["pgvector", "postgis"], latest = true },
      { version = "17.7", extensions = ["pgvector", "postgis"], latest = false },
      { version = "16.11", extensions = ["postgis"], latest = false },
    ]
    distribution = ["debian", "alpine"]
  }
  inherits   = ["_base", "_${distribution}"]
  context    = "postgres"
  dockerfile = "Dockerfile.${distribution}"
  args = {
    PG_VERSION = pg.version
    PG_MAJOR   = split(".", pg.version)[0]
    EXTENSIONS = join(" ", pg.extensions)
    JIT        = distribution == "debian" ? "on" : null
  }
  tags = concat(
    [
      "${REGISTRY}/postgres:${pg.version}-${distribution}",
      "${REGISTRY}/postgres:${split(".", pg.version)[0]}-${distribution}",
    ],
    distribution == "debian" ? ["${REGISTRY}/postgres:${pg.version}"] : [],
    pg.latest && distribution == "debian" ? ["${REGISTRY}/postgres:latest"] : [],
    [for extension in pg.extensions : "${REGISTRY}/postgres-${extension}:${pg.version}" if distribution == "debian"]
  )
}

target "cache" {
  name     = "cache-${flavour}"
  matrix   = { flavour = ["valkey", "memcached"] }
  inherits = ["_base", "_alpine"]
  context  = "caches/${flavour}"
  tags     = ["${REGISTRY}/cache:${flavour}-r${REVISION}"]
}
