"""Read bake files in HCL and JSON, and merge several files as bake does.

`source` has the text and its positions. `scanner` finds comments, strings and brackets, and leaves code without them,
which `grammar` parses with python-hcl2. `expressions`, `templates` and `blocks` make the values of `syntax` of the
parse tree; `comments` puts every comment next to what it comments on.
"""
