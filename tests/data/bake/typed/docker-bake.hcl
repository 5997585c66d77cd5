# Variables with types and checks.

variable "PLATFORMS" {
  type        = list(string)
  default     = ["linux/amd64", "linux/arm64"]
  description = "for which machines"
}

variable "REPLICAS" {
  type    = number
  default = 2
  validation {
    condition     = REPLICAS >= 1 && REPLICAS <= 16
    error_message = "REPLICAS must be between 1 and 16."
  }
}

variable "CHANNEL" {
  type    = string
  default = "beta"
  validation {
    condition     = contains(["alpha", "beta", "stable"], CHANNEL)
    error_message = "CHANNEL is alpha, beta or stable."
  }
}

variable "TAG" {
  default = "v1.4.0"
  validation {
    condition     = can(regex("^v[0-9]+\\.[0-9]+\\.[0-9]+$", TAG))
    error_message = "TAG looks like v1.2.3."
  }
}

variable "DEBUG" {
  type    = bool
  default = false
}

variable "LIMITS" {
  type = map(number)
  default = {
    memory = 512
    cpus   = 2
  }
}

variable "OWNER" {}

major = split(".", trimprefix(TAG, "v"))[0]

target "default" {
  platforms = PLATFORMS
  args = {
    REPLICAS = REPLICAS
    WORKERS  = REPLICAS * 2 + 1
    DEBUG    = DEBUG
    LOG      = DEBUG ? "trace" : null
    MEMORY   = "${LIMITS.memory}m"
    CPUS     = LIMITS["cpus"]
    OWNER    = OWNER
  }
  tags = [
    "example.com/service:${CHANNEL}",
    "example.com/service:${TAG}",
    CHANNEL == "stable" ? "example.com/service:${major}" : "",
  ]
  labels = {
    for name, limit in LIMITS : "limit.${name}" => "${limit}"
  }
}
