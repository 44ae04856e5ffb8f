"""Puts the template's own code on the path, so that a benchmark runs it as it stands."""

import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent / "{{cookiecutter.project_slug}}"
sys.path.insert(0, str(PROJECT))
sys.dont_write_bytecode = True  # cookiecutter would copy it into every project

from core.yaml_io import check_yaml, read_yaml  # noqa: E402
from pipeline.params import Params  # noqa: E402


def params(**changes: Any) -> Params:
    """The shipped params.yaml for a bare table: knobs by name, wherever they stand."""
    content = read_yaml(PROJECT / "params.yaml")
    bare = {"id": None, "time": None, "protected": [], "drop": []}
    content["prepare"]["split"] = "random"
    for name, value in {**bare, **changes}.items():
        section = next(s for s in content.values() if name in s)
        section[name] = value
    return check_yaml(Params, content, "params.yaml")
