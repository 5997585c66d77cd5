# Names that need care: a group and a target of one name, groups in groups, names with odd characters.

variable "Tag" { default = "one" }
variable "tag_2" { default = "two" }
variable "class" { default = "small" }

group "web" { targets = ["web", "proxy"] }
group "everything" { targets = ["web", "Tools", "lib_C"] }
group "default" { targets = ["everything"] }

target "web" {
  tags = ["web:${Tag}"]
  args = { tag = "${Tag}/${tag_2}" }
}

target "proxy" { inherits = ["web"] }

target "Tools" {
  args = { "with.dots" = class, "with-dash" = "a\"quoted\"\ttext", unicode = "Größe: 5 µm" }
  labels = { "{{ not a template }}" = "{% neither %} {# this #}", braces = "{{ x }}" }
}

target "lib_C" {
  inherits = [class == "small" ? "web" : "Tools"]
  dockerfile = "lib.Dockerfile"
}
