"""No mistake in params.yaml or schema.yaml gets through: each is refused before any work."""

import copy
import io
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import inside
import pytest
from ruamel.yaml import YAML

NAN, INF = math.nan, math.inf
PARAMS = YAML(typ="safe").load((inside.TEMPLATE / "params.yaml").read_text())
SCHEMA = YAML(typ="safe").load((inside.TEMPLATE / "schema.yaml").read_text())
Key = tuple[str, ...]
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)

# what a key may not be, beside NaN, infinite and nested values
WORDS = [5, 0.5, True, "", []]
NUMBERS = [-1, 1e300, "1", True, None]
LISTS = ["age", 5, [5], [None], [""], None]
FLAGS = [0, 1, "yes", "perhaps", None, 0.5]
CHOICES = ["perhaps", 5, True, None, ""]
NOT: dict[str, list[Any]] = {
    "data.path": [*WORDS, None, "sample.csv", "data/raw/../a.csv", "/data/raw/a.csv"],
    "data.target": [*WORDS, None, "application_id", "applied_on"],
    "data.task": CHOICES,
    "data.id": [*WORDS, "defaulted", None],  # the split wants one
    "data.time": [*WORDS, "defaulted"],
    "data.label_time": WORDS,
    "data.group": [*WORDS, "defaulted"],
    "data.protected": LISTS,
    "data.drop": [*LISTS, ["defaulted"]],
    "prepare.split": [*CHOICES, "group"],  # no group is named
    "prepare.val": [*NUMBERS, 0, 0.5, 1],
    "prepare.test": [*NUMBERS, 0, 0.5, 1],
    "prepare.sample": [*NUMBERS, 0, 1.01],
    "prepare.seed": [*NUMBERS, 0.5, 2**31],
    "validate.min_rows": [*NUMBERS, 0, 0.5],
    "validate.min_class_rows": [*NUMBERS, 0, 0.5],
    "validate.max_class_share": [*NUMBERS, 1.01, 95],
    "validate.max_same_value": [*NUMBERS, 1.01, 95],
    "validate.max_duplicates": [*NUMBERS, 1.01],
    "validate.max_overlap": [*NUMBERS, 1.01],
    "validate.max_leakage": [*NUMBERS, 1.01],
    "validate.max_psi": [-1, 0, "1", True, None],
    "validate.max_missing": [*NUMBERS, 0, 1, 5],
    "validate.false_alarms": [*NUMBERS, 0, 0.5, 1],
    "model.hidden": [256, "256", None, [0], [-1], [0.5], ["a"], [True], [9000], [8] * 9],
    "model.members": [*NUMBERS, 0, 65, 0.5, "many"],
    "model.bins": [*NUMBERS, 257, 0.5, "many"],
    "model.embedding": [*NUMBERS, 0, 257, 0.5],
    "model.dropout": [*NUMBERS, 1, 1.5],
    "train.seed": [*NUMBERS, 0.5, 2**31],
    "train.epochs": [*NUMBERS, 0, 0.5, "many"],
    "train.batch_size": [*NUMBERS, 0, 0.5, "many"],
    "train.lr": [*NUMBERS, 0, 1.5],
    "train.weight_decay": [*NUMBERS, 11],
    "train.ema": [*NUMBERS, 1, 1.5],
    "train.patience": [*NUMBERS, 0, 0.5],
    "train.class_weights": FLAGS,
    "train.calibrate": FLAGS,
    "train.device": [*CHOICES, "gpu"],
    "train.precision": [*CHOICES, "float16"],
    "train.threads": [*NUMBERS, 0, 0.5, "many"],
    "train.resume": FLAGS,
    "evaluate.threshold": [*NUMBERS, 0, 1, 50],
    "evaluate.calibration_bins": [*NUMBERS, 1, 101, 0.5],
    "evaluate.min_slice_rows": [*NUMBERS, 0, 0.5],
    "evaluate.importance_rows": [*NUMBERS, 0, 0.5],
}
NESTED = [NAN, INF, -INF, {"a": 1}, [[1]], [NAN], [INF]]


def paths(content: Any, above: Key = ()) -> Iterator[Key]:
    """Every key of nested mappings, as the keys that lead to it."""
    for key, value in content.items() if isinstance(content, dict) else ():
        yield (*above, str(key))
        yield from paths(value, (*above, str(key)))


def changed(content: Any, path: Key, value: Any = None, name: str = "", keep: bool = True) -> Any:
    """A copy with another value, another name or (with keep=False) no key at `path`."""
    new = copy.deepcopy(content)
    inner = new
    for key in path[:-1]:
        inner = inner[key]
    if name or not keep:
        items = [(name if key == path[-1] else key, one) for key, one in inner.items()
                 if keep or key != path[-1]]  # fmt: skip
        inner.clear()
        inner.update(items)
    else:
        inner[path[-1]] = value
    return new


def misspelt(word: str) -> str:
    """The word with its last letter doubled, or its last two swapped."""
    return word + word[-1] if len(word) < 4 else word[:-2] + word[-1] + word[-2]


def refused(file: str, content: Any, most: int = 3) -> str:
    """What is said of a params.yaml or schema.yaml with this content, which must be refused."""
    from core.errors import Problem
    from core.validation.schema import load_schema
    from pipeline.params import load_params

    out = io.StringIO()
    YAML(typ="safe", pure=True).dump(content, out)
    Path(file).write_text(out.getvalue())
    with pytest.raises(Problem) as problem:
        (load_params if file == "params.yaml" else load_schema)(file)
    assert problem.value.code == 2
    lines = str(problem.value).split("\n")
    assert all(line.startswith(f"{file}: ") for line in lines), lines
    assert len(lines) <= most, "about the mistake, and not much else"
    return str(problem.value)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_key_is_listed_here_and_the_files_themselves_are_good() -> None:
    from core.validation.schema import load_schema
    from pipeline.params import load_params

    keys = {".".join(path) for path in paths(PARAMS) if len(path) > 1}
    assert keys == set(NOT)
    load_params(inside.TEMPLATE / "params.yaml")
    load_schema(inside.TEMPLATE / "schema.yaml")


@pytest.mark.parametrize("path", list(paths(PARAMS)), ids=".".join)
def test_a_misspelt_key_is_refused_and_the_right_one_named(path: Key) -> None:
    wrong = misspelt(path[-1])
    said = refused("params.yaml", changed(PARAMS, path, name=wrong))
    assert f"{'.'.join([*path[:-1], wrong])}: unknown key (did you mean {path[-1]!r}?)" in said
    assert f"{'.'.join(path)}: missing" in said


@pytest.mark.parametrize("path", list(paths(PARAMS)), ids=".".join)
def test_a_missing_key_is_refused(path: Key) -> None:
    said = refused("params.yaml", changed(PARAMS, path, keep=False))
    assert f"{'.'.join(path)}: missing" in said


@pytest.mark.parametrize("key", NOT)
def test_a_value_of_the_wrong_type_or_out_of_range_is_refused(key: str) -> None:
    for value in [*NOT[key], *NESTED]:
        said = refused("params.yaml", changed(PARAMS, tuple(key.split(".")), value))
        assert key.rpartition(".")[2] in said, (value, said)
        assert key.partition(".")[0] in said, (value, said)


@pytest.mark.parametrize("section", PARAMS)
@pytest.mark.parametrize("value", [None, 5, "text", [], {}, NAN], ids=repr)
def test_a_section_must_be_a_section(section: str, value: Any) -> None:
    said = refused("params.yaml", changed(PARAMS, (section,), value), most=20)
    assert f"params.yaml: {section}" in said


@pytest.mark.parametrize("file", ["params.yaml", "schema.yaml"])
@pytest.mark.parametrize("content", [None, [], 5, "text", {}], ids=repr)
def test_a_file_that_says_nothing_is_refused(file: str, content: Any) -> None:
    refused(file, content, most=20)


CHECKS = "columns.{}.checks."
RANGE = (CHECKS + "in_range").format("age")
SCHEMA_NOT: dict[str, list[Any]] = {
    "schema_type": ["series", 5, None, ""],
    "columns": [None, [], {}, "text", 5],
    "columns.age": [None, [], {}, "int64", 5, NAN],
    "columns.age.dtype": ["int", "int32", "number", 5, None, ""],
    "columns.age.checks": [[], "in_range", 5, True],
    RANGE: [None, [], {}, "18 to 100", [18, 100], 5, NAN],
    f"{RANGE}.min_value": ["18", None, True, [18], NAN, INF, -INF, 101],
    f"{RANGE}.max_value": ["100", None, False, {"a": 1}, NAN, INF, -INF, 17],
    CHECKS.format("gender") + "isin": [None, [], "female", 5, {}, ["female", 5], [NAN], [None]],
    CHECKS.format("term_months") + "isin": [None, [], 12, "12", [12, "24"], [NAN], [INF], [True]],
    CHECKS.format("applied_on") + "greater_than_or_equal_to": [2020, "2020", None, True, NAN, []],
    "columns.application_id.unique": FLAGS,
    "columns.years_employed.nullable": FLAGS,
    "strict": FLAGS,
    "coerce": [*FLAGS, True],
    "ordered": FLAGS,
    "version": [0.35, 5, True, []],
}
OPTIONAL = {"checks", "nullable", "unique", "strict", "coerce", "ordered", "version"}
SCHEMA_KEYS = [path for path in paths(SCHEMA) if len(path) != 2]  # a column's name is not ours
NEEDED = [path for path in SCHEMA_KEYS if path[-1] not in OPTIONAL and path[-2:-1] != ("checks",)]


@pytest.mark.parametrize("key", SCHEMA_NOT)
def test_schema_yaml_takes_no_wrong_value(key: str) -> None:
    for value in SCHEMA_NOT[key]:
        said = refused("schema.yaml", changed(SCHEMA, tuple(key.split(".")), value))
        assert key.split(".")[-1] in said or "Pandera" in said, (value, said)


@pytest.mark.parametrize("path", SCHEMA_KEYS, ids=".".join)
def test_schema_yaml_takes_no_misspelt_key(path: Key) -> None:
    wrong = misspelt(path[-1])
    said = refused("schema.yaml", changed(SCHEMA, path, name=wrong))
    assert f"{'.'.join([*path[:-1], wrong])}: unknown " in said
    assert f"(did you mean {path[-1]!r}?)" in said


@pytest.mark.parametrize("path", NEEDED, ids=".".join)
def test_schema_yaml_misses_no_key_that_it_needs(path: Key) -> None:
    said = refused("schema.yaml", changed(SCHEMA, path, keep=False))
    assert path[-1] in said


@pytest.mark.parametrize("text", ["isin: [yes, no]", "isin: [on, off]", "isin: [female, No]"])
def test_text_that_pandera_would_take_for_true_or_false_is_refused(text: str) -> None:
    from core.errors import Problem
    from core.validation.schema import load_schema

    schema = (inside.TEMPLATE / "schema.yaml").read_text()
    assert "isin: [female, male]" in schema
    Path("schema.yaml").write_text(schema.replace("isin: [female, male]", text))
    with pytest.raises(Problem, match=r"columns\.gender: .*quote"):
        load_schema()
    Path("schema.yaml").write_text(schema.replace("isin: [female, male]", 'isin: ["yes", "no"]'))
    load_schema()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("data:\n\tpath: x\n", "params.yaml:2: not valid YAML"),
        ("data: {path: x, path: y}\n", "duplicate key"),
        (
            "<<<<<<< HEAD\ndata: 1\n=======\ndata: 2\n>>>>>>> main\n",
            "params.yaml:2: not valid YAML",
        ),
        ("data: caf\xe9\n", "params.yaml: not UTF-8"),
        ("data: [1, 2\n", "not valid YAML"),
        ("data: " + "[" * 500 + "]" * 500, "nested more than 50 deep"),
        ("\n".join(" " * i + "k:" for i in range(900)), "nested more than 50 deep"),
        (BOMB, "more than 50,000 values, aliases written out"),
        ("data: &a [*a]", "'a' holds itself"),
        ("#" * (1 << 20) + "\n", "params.yaml: 1,048,577 bytes; at most 1,048,576"),
        ("data: 2026-02-30", "params.yaml: not valid YAML: day is out of range"),
        ("data: " + "9" * 5000, "params.yaml: not valid YAML: Exceeds the limit"),
        (None, "params.yaml: no such file"),
    ],
)
def test_a_file_that_is_no_yaml_is_refused(text: str | None, says: str) -> None:
    from core.errors import Problem
    from pipeline.params import load_params

    if text is not None:
        Path("params.yaml").write_text(text, encoding="latin-1")
    with pytest.raises(Problem) as problem:
        load_params()
    assert says in str(problem.value)
    assert problem.value.code == 2


@pytest.mark.parametrize("verb", ["prepare", "validate", "train", "evaluate"])
def test_every_verb_stops_before_any_work(verb: str, tmp_path: Path) -> None:
    with inside.workspace(tmp_path / "w") as folder:
        text = Path("params.yaml").read_text().replace("  min_rows:", "  min_row:")
        Path("params.yaml").write_text(text)
        done = subprocess.run(
            [sys.executable, "-m", f"pipeline.{verb}"],
            env={"PYTHONPATH": str(inside.TEMPLATE), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 2
        assert done.stderr.startswith(f"{verb}: params.yaml: validate.")
        assert "(did you mean 'min_rows'?)" in done.stderr
        assert not {"reports", "models", "metrics"} & {one.name for one in folder.iterdir()}
