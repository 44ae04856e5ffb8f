import fnmatch
import os
import shutil
from pathlib import Path

from stub import INPUTS, WORKSPACE, fail, output, repository, yes

run = INPUTS["run-id"] or os.environ["GITHUB_RUN_ID"]
if run != os.environ["GITHUB_RUN_ID"]:
    if not INPUTS["github-token"]:
        fail("run-id needs github-token")
    repository(INPUTS["github-token"], f"/actions/runs/{run}/artifacts")
kept = Path(os.environ["STAND_IN_ARTIFACTS"]) / run
names = sorted(one.name for one in kept.iterdir()) if kept.is_dir() else []
place = WORKSPACE / INPUTS["path"]
if INPUTS["name"]:
    if INPUTS["name"] not in names:
        fail(f"Unable to download artifact(s): Artifact not found for name: {INPUTS['name']}")
    shutil.copytree(kept / INPUTS["name"], place, dirs_exist_ok=True)
else:
    for name in fnmatch.filter(names, INPUTS["pattern"] or "*"):
        into = place if yes("merge-multiple") else place / name
        shutil.copytree(kept / name, into, dirs_exist_ok=True)
output("download-path", str(place))
