"""The YAML files as they stand are valid, and a mistake in them is named."""

from pathlib import Path

import pytest

from core.errors import Problem
from core.validation.schema import load_schema
from ops.gates.gates_yaml import load_gates
from pipeline.params import load_params


def test_the_projects_own_files_are_valid() -> None:
    load_params()
    load_schema()
    load_gates()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  lr:", "  learning:", r"train.lr: missing"),
        (
            "  patience:",
            "  patiense:",
            r"train.patiense: unknown key \(did you mean 'patience'\?\)",
        ),
        ("  calibrate: true", "  calibrate: perhaps", r"train.calibrate: found 'perhaps'"),
        ("  resume: true", "  resume: true\n  resume: false", r"not valid YAML.*duplicate key"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = Path("params.yaml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "params.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(Problem, match=message) as problem:
        load_params(path)
    assert problem.value.code == 2
    assert str(problem.value).startswith(str(path))
