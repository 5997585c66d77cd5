"""Write values.json: what `docker buildx bake --print` gives for each expression in it.

Run it as `python collect_values.py PATH-OF-BUILDX` after adding expressions (the keys of values.json). The values in
the repository are those of buildx 0.36.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

VALUES = Path(__file__).parent / "values.json"


def evaluate(buildx: str, expression: str) -> str:
    """Return the value of an expression as the argument of a build."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "docker-bake.hcl"
        file.write_bytes(f'target "t" {{\n  args = {{\n    A = {expression}\n  }}\n}}\n'.encode())
        command = [buildx, "bake", "--progress=quiet", "--print", "-f", str(file), "t"]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    value = json.loads(printed)["target"]["t"]["args"]["A"]
    return str(value).replace("$${", "${").replace("%%{", "%{")


def main() -> None:
    """Evaluate all expressions again."""
    expressions = json.loads(VALUES.read_text(encoding="utf-8"))
    values = {expression: evaluate(sys.argv[1], expression) for expression in expressions}
    VALUES.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
