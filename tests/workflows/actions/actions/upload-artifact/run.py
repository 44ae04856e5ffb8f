import os
import shutil
from pathlib import Path

from stub import INPUTS, WORKSPACE, fail, need, output, yes

name = need("name")
lines = [line.strip() for line in need("path").splitlines() if line.strip()]
roots: list[Path] = []
files: set[Path] = set()
for line in lines:
    if line.startswith("!"):
        files -= set(WORKSPACE.glob(line[1:]))
        continue
    fixed = WORKSPACE / line.partition("*")[0]
    found = [WORKSPACE / line] if "*" not in line else list(WORKSPACE.glob(line))
    for one in found:
        files |= (
            {p for p in one.rglob("*") if p.is_file()}
            if one.is_dir()
            else ({one} if one.is_file() else set())
        )
    roots.append(fixed if fixed.is_dir() else fixed.parent)
if not yes("include-hidden-files"):
    files = {
        p for p in files if not any(part.startswith(".") for part in p.relative_to(WORKSPACE).parts)
    }
if not files:
    message = f"No files were found with the provided path: {', '.join(lines)}."
    if INPUTS["if-no-files-found"] == "error":
        fail(message)
    print(f"::warning::{message} No artifacts will be uploaded.")
    raise SystemExit(0)
root = Path(os.path.commonpath(roots))
there = Path(os.environ["STAND_IN_ARTIFACTS"]) / os.environ["GITHUB_RUN_ID"] / name
if there.exists():
    if not yes("overwrite"):
        fail("Failed to CreateArtifact: an artifact with this name already exists on the run")
    shutil.rmtree(there)
for file in files:
    copy = there / file.relative_to(root)
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, copy)
output("artifact-id", "1")
url = f"https://github.com/{os.environ['GITHUB_REPOSITORY']}/actions/runs"
output("artifact-url", f"{url}/{os.environ['GITHUB_RUN_ID']}/artifacts/1")
print(f"{len(files)} files in {name}")
