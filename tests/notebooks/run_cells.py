"""Runs a notebook's code cells in order in this one process, as Colab would, with other values in its fields.

python run_cells.py NOTEBOOK '{"field": value}'
"""

import json
import re
import sys
from pathlib import Path

cells = [
    "".join(cell["source"])
    for cell in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["cells"]
    if cell["cell_type"] == "code"
]
left = json.loads(sys.argv[2])
namespace = {"__name__": "__main__"}
for number, cell in enumerate(cells, 1):
    for name in list(left):
        field = re.compile(rf"^{name} = .*?  # @param ", re.MULTILINE)
        if field.search(cell):
            value = left.pop(name)
            cell = field.sub(lambda found, name=name, value=value: f"{name} = {value!r}  # @param ", cell)
    print(f"=== cell {number}", flush=True)
    exec(compile(cell, f"cell {number}", "exec"), namespace)
assert not left, f"no such fields: {sorted(left)}"
print("=== end", flush=True)
