"""Read bake files in HCL and JSON, and merge several files as bake does.

`source` has the text and its positions. `scanner` finds comments, strings and brackets, and leaves code without them,
which `grammar` parses with python-hcl2. `expressions`, `templates` and `blocks` make the values of `syntax` of the
parse tree; `comments` puts every comment next to what it comments on. `json_files` reads the JSON syntax of HCL.
"""

from mpbake.conversion.reading.hcl.files import read_expression, read_hcl, read_template
from mpbake.conversion.reading.json_files import read_bake_json
from mpbake.conversion.reading.merging import default_files, merged

__all__ = ["default_files", "merged", "read_bake_json", "read_expression", "read_hcl", "read_template"]
