# Expressions that a plan cannot express. The import writes their values, with the expression as a comment.

variable "KEY" { default = "example" }

target "default" {
  tags = ["calendar:${KEY}"]
  args = {
    WEEK  = formatdate("YYYY-MM", timeadd("2026-01-31T00:00:00Z", "240h"))
    HASH  = sha512(KEY)
    PAIRS = jsonencode(setproduct(["a", "b"], [1, 2]))
    ROWS  = csvdecode("name,port\nweb,80\nmail,25")[1].port
    PLAIN = KEY
  }
}
