# Settings of the build server.
variable "SDK" { default = "5.5" }

group "default" { targets = ["image", "symbols"] }

target "toolchain" {
  args       = { JOBS = "32" }
  cache-from = ["type=registry,ref=registry.example.com/cache/toolchain"]
  cache-to   = ["type=registry,ref=registry.example.com/cache/toolchain,mode=max"]
}

target "symbols" {
  inherits = ["image"]
  target   = "symbols"
  output   = ["type=local,dest=out/symbols"]
}
