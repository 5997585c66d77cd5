# Everything that a release needs besides the build: secrets, caches, attestations.

variable "CACHE" { default = "registry.example.com/cache" }
variable "MODE" { default = "max" }

target "app" {
  description = "The server and its tools"
  context     = "https://github.com/example/app.git#main"
  tags        = ["registry.example.com/app:1"]
  annotations = [
    "org.opencontainers.image.title=App",
    "index,manifest:org.opencontainers.image.vendor=Example, Inc.",
  ]
  attest = [
    { type = "provenance", mode = MODE },
    { type = "sbom" },
  ]
  cache-from = [
    { type = "registry", ref = "${CACHE}/app" },
    "type=gha,scope=app",
  ]
  cache-to = [
    { type = "registry", ref = "${CACHE}/app", mode = MODE, image-manifest = true },
  ]
  secret = [
    { id = "npm", src = "secrets/npm" },
    "id=token,env=TOKEN",
  ]
  ssh          = [{ id = "default" }]
  entitlements = ["network.host"]
  network      = "host"
  extra-hosts  = { "registry.local" = "10.0.0.5" }
  output = [
    { type = "image", push = true, oci-mediatypes = true },
    "type=oci,dest=app.tar",
  ]
  pull = true
  call = "build"
}

target "check" {
  inherits = ["app"]
  call     = "check"
  tags     = []
  output   = ["type=cacheonly"]
}
