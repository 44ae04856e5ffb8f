import os
import platform
from pathlib import Path

from stub import INPUTS, WORKSPACE, add_path, fail, output

asked, file = INPUTS["python-version"], INPUTS["python-version-file"]
if not asked and file:
    if not (WORKSPACE / file).exists():
        fail(f"The specified python version file at: {WORKSPACE / file} doesn't exist.")
    asked = (WORKSPACE / file).read_text().strip()
if not asked:
    fail("no Python version asked for: it would be whatever the machine has")
if INPUTS["cache"]:
    names = (INPUTS["cache-dependency-path"] or "**/requirements.txt").split()
    if not any(found for name in names for found in WORKSPACE.glob(name)):
        fail(f"No file in {WORKSPACE} matched to {names}")
python = Path(os.environ["STAND_IN_PYTHON"])
add_path(python.parent)
output("python-version", platform.python_version())
output("python-path", str(python))
output("cache-hit", "false")
print(f"asked for {asked}, given {platform.python_version()}")
