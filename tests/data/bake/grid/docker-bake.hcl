# 120 images: each service, on each base, for each customer.

variable "VERSION" { default = "2026.1" }

variable "SERVICES" {
  default = ["api", "auth", "billing", "events", "mail", "search"]
}

variable "CUSTOMERS" {
  default = {
    acme    = { region = "eu", fips = true }
    globex  = { region = "us", fips = false }
    initech = { region = "us", fips = true }
    umbrella = { region = "ap", fips = false }
  }
}

function "tag" {
  params = [service, base, customer]
  result = "registry.example.com/${customer}/${service}:${VERSION}-${base}"
}

group "default" {
  targets = ["service"]
}

group "acme" {
  targets = [for service in SERVICES : "${service}-debian-acme"]
}

target "service" {
  name = "${service}-${base}-${customer}"
  matrix = {
    service  = SERVICES
    base     = ["debian", "alpine", "distroless", "ubi", "wolfi"]
    customer = keys(CUSTOMERS)
  }
  context = "services/${service}"
  target  = CUSTOMERS[customer].fips ? "fips" : null
  args = {
    BASE    = base
    REGION  = CUSTOMERS[customer].region
    VERSION = VERSION
  }
  tags = base == "debian" ? [tag(service, base, customer), "registry.example.com/${customer}/${service}:${VERSION}"] : [tag(service, base, customer)]
  platforms = contains(["ubi", "wolfi"], base) ? ["linux/amd64"] : ["linux/amd64", "linux/arm64"]
}
