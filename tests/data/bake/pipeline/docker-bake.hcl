/* A build in stages: each stage is a target, and the next one uses its result. */

variable "DEBIAN" { default = "13" }
variable "EXTRA_PACKAGES" { default = "" }

group "default" { targets = ["report"] }

target "base" {
  dockerfile-inline = <<EOT
FROM debian:${DEBIAN}-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends curl "jq"%{ if EXTRA_PACKAGES != "" } ${EXTRA_PACKAGES}%{ endif }
ENV GREETING="hello, $${USER}"
EOT
  args = {
    LEVEL = "3"
    MODE  = "fast"
  }
}

target "fetch" {
  contexts = { base = "target:base" }
  dockerfile-inline = <<-EOT
    FROM base
    %{~ for host in ["a.example.com", "b.example.com"] ~}
    RUN curl -fsS https://${host}/data > /data-${host}
    %{~ endfor ~}
  EOT
  no-cache = true
}

target "compute" {
  contexts = {
    base  = "target:base"
    fetch = "target:fetch"
    tools = "docker-image://alpine:3.23"
    rules = "./rules"
  }
  args = {
    LEVEL   = target.base.args.LEVEL
    MODE    = upper(target.base.args.MODE)
    VERSION = "v${format("%02d", 7)}"
  }
  dockerfile = "compute.Dockerfile"
  shm-size   = "512m"
  ulimits    = ["nofile=1024:2048"]
}

target "report" {
  contexts   = { compute = "target:compute" }
  dockerfile = "report.Dockerfile"
  output     = [{ type = "local", dest = "report" }]
}
