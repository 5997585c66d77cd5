variable "BOARD" { default = "mk2" }
variable "SDK" { default = "5.4" }

group "default" { targets = ["image"] }

target "toolchain" {
  context = "toolchain"
  args    = { SDK = SDK, JOBS = "4" }
}

target "image" {
  contexts = { toolchain = "target:toolchain" }
  args     = { BOARD = BOARD }
  tags     = ["firmware:${BOARD}"]
  output   = ["type=local,dest=out/${BOARD}"]
}
