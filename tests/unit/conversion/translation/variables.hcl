# The variables of the expressions in expressions.txt.
variable "TAG" { default = "v1.2.3" }
variable "EMPTY" { default = "" }
variable "PUSH" { default = "true" }
variable "FULL" { default = true }
variable "OFF" { default = false }
variable "N" { default = 3 }
variable "PORT" { default = "8080" }
variable "UNSET" { type = string }
variable "WORDS" { default = "web, api,Db " }
variable "PATH_" { default = "docker/web/Dockerfile" }
variable "names" { default = ["web", "api", "Db"] }
variable "none_" { default = [] }
variable "mixed" { default = ["a", 1, true] }
variable "nested" { default = [["a", "b"], [], ["c"]] }
variable "NUMBERS" {
  type = list(number)
  default = [3, 1, 2]
}
variable "LIST" {
  type = list(string)
  default = ["linux/amd64", "linux/arm64"]
}
variable "SET" {
  type = set(string)
  default = ["b", "a", "C", "a"]
}
variable "MAP" {
  type = map(string)
  default = { zeta = "1", Alpha = "2", items = "3" }
}
variable "object" { default = { name = "web", port = 80, items = ["x"], "a-b" = "dash", deep = { on = true } } }
variable "sorted_" { default = { a = "1", b = "2" } }
variable "rows" { default = [{ name = "web", port = 80 }, { name = "api", port = 8080 }] }

function "tag" {
  params = [name]
  result = "registry/${name}:${TAG}"
}

function "tags" {
  params = [prefix]
  variadic_params = names
  result = [for name in names: "${prefix}-${name}"]
}
