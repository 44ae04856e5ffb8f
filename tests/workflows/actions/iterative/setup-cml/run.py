import os

from stub import INPUTS, add_path, fail, yes

if INPUTS["version"].lstrip("v") != "0.20.6":
    fail(f"version {INPUTS['version']!r}: pin v0.20.6; `latest` asks the public API, unauthorised")
if yes("vega"):
    fail("vega: its installation is not awaited and breaks the action; say vega: false")
add_path(os.environ["STAND_IN_CML"])
