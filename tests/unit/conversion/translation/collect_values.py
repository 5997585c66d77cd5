"""Write values.json: what `docker buildx bake --print` gives for each line of expressions.txt.

Run it as `python collect_values.py PATH-OF-BUILDX` after a change of expressions.txt or variables.hcl. The values in
the repository are those of buildx 0.36. Each expression is evaluated twice: with the defaults of the variables, and
with the environment in CHANGED. An expression that bake refuses has the value {"error": true}.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CHANGED = {
    "TAG": "",
    "EMPTY": "x",
    "PUSH": "false",
    "FULL": "false",
    "OFF": "true",
    "N": "4",
    "PORT": "80",
    "UNSET": "set",
    "WORDS": "x",
}
ERROR = {"error": True}


def expressions(text: str) -> list[str]:
    """Return the expressions in the text of expressions.txt."""
    return [line for line in text.splitlines() if line and not line.startswith("# ")]


def evaluate(buildx: str, lines: list[str], environment: dict[str, str]) -> list[Any]:
    """Return the values of expressions; each half again if bake refuses one of them."""
    args = "\n".join(f"    A{index} = jsonencode({line})" for index, line in enumerate(lines))
    preamble = (HERE / "variables.hcl").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        bake_file = Path(folder, "docker-bake.hcl")
        bake_file.write_text(f'{preamble}\ntarget "x" {{\n  args = {{\n{args}\n  }}\n}}\n', encoding="utf-8")
        command = [buildx, "bake", "--print", "-f", str(bake_file), "x"]
        base = {"HOME": folder, "PATH": os.environ["PATH"]}
        result = subprocess.run(command, env=base | environment, capture_output=True, text=True, check=False)
    if result.returncode == 0:
        values = json.loads(result.stdout)["target"]["x"]["args"]
        return [json.loads(_unescaped(values[f"A{index}"])) for index in range(len(lines))]
    if len(lines) == 1:
        return [ERROR]
    middle = len(lines) // 2
    return evaluate(buildx, lines[:middle], environment) + evaluate(buildx, lines[middle:], environment)


def _unescaped(text: str) -> str:
    """Return the value itself: since 0.14 buildx prints `${` as in a bake file."""
    return re.sub(r"([$%])\1\{", r"\1{", text)


def main(buildx: str) -> None:
    """Write values.json."""
    lines = expressions((HERE / "expressions.txt").read_text(encoding="utf-8"))
    defaults, changed = evaluate(buildx, lines, {}), evaluate(buildx, lines, CHANGED)
    pairs = {line: [first, second] for line, first, second in zip(lines, defaults, changed, strict=True)}
    rows = ",\n".join(f"{json.dumps(line)}: {json.dumps(values)}" for line, values in pairs.items())
    (HERE / "values.json").write_text(f"{{\n{rows}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
