"""Bad data is refused with column and count, good data raises no alarm; all made of the sample."""

import gzip
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from conftest import ROOT, tree
from inside import SAMPLE, prepare_and_validate, set_params, stage, workspace
from ruamel.yaml import YAML

from core.validation.findings import TITLES

ROWS = 10_000
BYTES = SAMPLE.read_bytes()
HEADER, LAST = BYTES.splitlines(keepends=True)[::ROWS]
Make = Callable[[], bytes]


def text() -> pd.DataFrame:
    """The sample as it is written, every value a text."""
    return pd.read_csv(SAMPLE, dtype=str, keep_default_na=False)


def write(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False, lineterminator="\n").encode()


def put(column: str, value: str, rows: int = ROWS) -> Make:
    """The sample with `value` in so many rows of a column, spread over the table."""

    def make() -> bytes:
        table = text()
        table.loc[np.linspace(0, ROWS - 1, rows).astype(int), column] = value
        return write(table)

    return make


def copied(rows: int, to_test: bool) -> bytes:
    """The sample with copies of some rows under new ids; these fall to test, or anywhere."""
    from pipeline import split
    from pipeline.params import load_params

    table = text()
    news = pd.DataFrame({"application_id": np.arange(900_000, 910_000)})
    side = split.splitter(load_params())
    in_test = side(pa.RecordBatch.from_pandas(news)) == 2
    in_train = side(pa.RecordBatch.from_pandas(table[["application_id"]].astype(int))) == 0
    more = table[in_train].head(rows).copy()
    news = news[in_test] if to_test else news
    more["application_id"] = news["application_id"].head(rows).to_numpy()
    return write(pd.concat([table, more]))


def labelled(ones: int) -> bytes:
    table = text()
    table["defaulted"] = np.where(np.arange(ROWS) % (ROWS // max(1, ones)) == 1, "1", "0")
    if not ones:
        table["defaulted"] = "0"
    return write(table)


def leaking() -> bytes:
    table = text()
    table["interest_rate"] = np.where(table.defaulted == "1", "9.5", "4.5")
    return write(table)


def only(columns: Callable[[list[str]], list[str]]) -> Make:
    return lambda: write(text()[columns(list(text()))])


def extra() -> bytes:
    return write(text().assign(shoe_size="42"))


def named(old: str, new: str) -> Make:
    """The sample with another name for one column."""
    return lambda: BYTES.replace(old.encode(), new.encode(), 1)


def first(rows: int) -> bytes:
    return b"\n".join(BYTES.split(b"\n")[: rows + 1]) + b"\n"


# by name: the file, and what the message says, the column and the number among it
UNREADABLE: dict[str, tuple[Make, str, str, str]] = {
    "empty": (lambda: b"", "the file is empty", "", ""),
    "empty gz": (lambda: b"", "the file is empty", "", ""),
    "cut gz": (lambda: gzip.compress(BYTES)[:-1000], "cannot be read", "", ""),
    "header only": (lambda: BYTES.split(b"\n")[0] + b"\n", "a header and no rows", "", ""),
    "one row": (lambda: first(1), "no row falls to", "", "1"),
    "truncated row": (lambda: BYTES[:-40], "the file is cut off", "", "18"),
    "trailing junk": (lambda: BYTES + b"TOTAL,10000\n", "'TOTAL,10000'", "", "2"),
    "latin-1": (lambda: BYTES.replace(b",male,", b",m\xe2le,"), "not UTF-8", "gender", ""),
    "latin-1 late": (
        lambda: b"m\xe2le,".join(BYTES.rsplit(b"male,", 1)),
        "not UTF-8",
        "gender",
        "",
    ),
    "null byte": (lambda: BYTES.replace(b",own,", b",o\0n,"), "null bytes", "housing", ""),
    "null byte late": (lambda: BYTES[:-5] + b"\0" + BYTES[-5:], "null bytes", "has_guarantor", ""),
    "utf-16": (lambda: BYTES.decode().encode("utf-16"), "UTF-16", "", ""),
    "too large to describe": (put("loan_amount", "-1e308", 1), "too far", "loan_amount", "-1e+308"),
    "semicolons": (lambda: BYTES.replace(b",", b";"), "separated by ';'", "", ""),
    "missing target": (only(lambda names: names[:-1]), "no column", "defaulted", ""),
    "duplicate column": (named("income", "age"), "stands 2 times", "age", "2"),
    "column without a name": (named("income", ""), "has no name in the header", "", "8"),
}
# by name: the file, and check, column and rows of the finding
BAD: dict[str, tuple[Make, str, str, int]] = {
    "truncated label": (lambda: BYTES[:-2], "missing_value", "defaulted", 1),
    "missing_column": (only(lambda n: n[:7] + n[8:]), "missing_column", "income", ROWS),
    "extra column": (extra, "unknown_column", "shoe_size", ROWS),
    "wrong type": (put("age", "forty"), "not_a_number", "age", ROWS),
    "mixed types": (put("years_employed", "a few", 6), "not_a_number", "years_employed", 6),
    "infinite": (put("interest_rate", "inf", 3), "not_finite", "interest_rate", 3),
    "missing feature": (put("income", "", 5), "missing_value", "income", 5),
    "missing_label": (put("defaulted", "", 4), "missing_value", "defaulted", 4),
    "single class": (lambda: labelled(0), "one_class_only", "defaulted", ROWS),
    "tiny class": (lambda: labelled(10), "rare_class", "defaulted", 10),
    "dominating class": (lambda: labelled(100), "dominant_class", "defaulted", 9_900),
    "duplicate_rows": (lambda: copied(500, to_test=False), "duplicate_rows", "", 500),
    "duplicate ids": (lambda: BYTES + LAST, "repeated_value", "application_id", 2),
    "test rows in train": (lambda: copied(90, to_test=True), "test_rows_in_train", "", 90),
    "target leak": (leaking, "target_leak", "interest_rate", ROWS),
    "nearly_constant": (put("region", "east", 9_700), "nearly_constant", "region", 9_743),
    "drifted": (put("housing", "rent", 5_000), "drift", "housing", ROWS),
    "out of range": (put("age", "150", 7), "in_range(18, 100)", "age", 7),
    "huge number": (put("loan_amount", "9" * 25, 2), "in_range(100, 200000)", "loan_amount", 2),
    "negative": (put("income", "-500", 8), "in_range(1000, 1000000)", "income", 8),
    "unseen category": (put("region", "atlantis", 9), "isin(", "region", 9),
    "mistyped label": (put("defaulted", "O", 3), "not_a_number", "defaulted", 3),
    "unknown label": (put("defaulted", "2", 60), "isin([0, 1])", "defaulted", 60),
    "date garbage": (put("applied_on", "2023-13-45", 5), "not_a_date", "applied_on", 5),
    "too old": (put("applied_on", "1970-01-01", 5), "greater_than", "applied_on", 5),
    "neither": (put("has_guarantor", "maybe", 11), "not_boolean", "has_guarantor", 11),
    "fractions": (put("open_lines", "1.5", 12), "not_an_integer", "open_lines", 12),
    "few rows": (lambda: first(500), "too_few_rows", "", 500),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_that_is_not_what_it_seems_is_refused_in_one_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, *words = UNREADABLE[name]
    with workspace(tmp_path / "w"):
        file = Path("data/raw/sample.csv" + ".gz" * name.endswith("gz"))
        set_params(data={"path": str(file)})
        file.write_bytes(make())
        said = prepare_and_validate(capsys)
        assert said.code == 2, said.text
        assert said.text.startswith(f"prepare: {file}: ")
        assert len(said.text.strip().split("\n")) == 1
        assert [word for word in words if word not in said.text] == []
        assert not list(Path("data").rglob("*.tmp")), "half a file"


@pytest.mark.parametrize("name", BAD)
def test_bad_data_is_refused_with_check_column_and_count(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, check, column, count = BAD[name]
    with workspace(tmp_path / "w"):
        Path("data/raw/sample.csv").write_bytes(make())
        said = prepare_and_validate(capsys)
        assert said.code == 1, said.text
        assert not Path("reports/validated.json").exists()
        report = json.loads(Path("reports/validation.json").read_text())
    assert not report["passed"]
    mine = [one for one in report["problems"] if one["column"] == column]
    counts = {one["count"] for one in mine if one["check"].startswith(check)}
    assert counts == {count}, [one[:3] for one in map(list, map(dict.values, report["problems"]))]
    assert column in said.text
    assert TITLES.get(check, check) in said.text, "in words"
    assert f"{count:,}" in said.text, "the table names the count"


def test_a_bad_stage_ends_with_1_also_as_a_process(tmp_path: Path) -> None:
    with workspace(tmp_path / "w"):
        Path("data/raw/sample.csv").write_bytes(BAD["negative"][0]())
        codes = [
            subprocess.run([sys.executable, "-m", f"pipeline.{verb}"], capture_output=True,
                           env={"PYTHONPATH": str(SAMPLE.parents[2])}).returncode
            for verb in ("prepare", "validate")
        ]  # fmt: skip
    assert codes == [0, 1]


def test_every_check_has_a_title() -> None:
    code = [SAMPLE.parents[2] / name for name in ("core/validation/check_schema.py",
            "pipeline/data_checks.py", "ops/monitoring/check_batch.py")]  # fmt: skip
    text = " ".join(path.read_text() for path in code)
    named = set(re.findall(r'(?:finding|_failed)\(\s*"(\w+)"', text))
    assert len(named) > 20
    assert named - {"unreadable", "drift"} <= set(TITLES)
    assert all(check.isidentifier() for check in TITLES)


def spoil(kind: str) -> None:
    """Make the outputs of prepare impossible to write."""
    if kind == "not a folder":
        Path("data/prepared").touch()
    else:
        Path("data/prepared").symlink_to("/proc/self")  # nothing can be made there


@pytest.mark.parametrize("kind", ["not a folder", "read only"])
def test_what_cannot_be_written_is_told_in_one_line(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with workspace(tmp_path / "w"):
        Path("data/raw/sample.csv").write_bytes(BYTES)
        spoil(kind)
        said = prepare_and_validate(capsys)
    assert said.code == 2
    assert re.fullmatch(r"prepare: .*data/prepared.+\n", said.text), said.text


@pytest.mark.parametrize("verb", ["prepare", "validate"])
def test_a_full_disk_is_told_in_one_line_and_leaves_what_was_there(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with workspace(tmp_path / "w") as folder:
        Path("data/raw/sample.csv").write_bytes(BYTES)
        assert prepare_and_validate(capsys).code == 0
        before = tree(folder)
        most = 4096 if verb == "prepare" else 64  # bytes of a file
        code = (f"import resource, runpy; resource.setrlimit(resource.RLIMIT_FSIZE, ({most},) * 2);"
                f"runpy.run_module('pipeline.{verb}', run_name='__main__')")  # fmt: skip
        env = {"PYTHONPATH": str(SAMPLE.parents[2]), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert done.stderr.startswith(f"{verb}: ")
        assert "too large" in done.stderr
        assert tree(folder) == before


def test_outputs_stay_until_new_ones_are_known_to_be_good(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with workspace(tmp_path / "w"):
        Path("data/raw/sample.csv").write_bytes(BYTES)
        assert prepare_and_validate(capsys).code == 0
        before = tree(Path("data/prepared")) | tree(Path("reports"))
        for name in ("too large to describe", "one row"):
            Path("data/raw/sample.csv").write_bytes(UNREADABLE[name][0]())
            assert prepare_and_validate(capsys).code == 2
            assert tree(Path("data/prepared")) | tree(Path("reports")) == before


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "+02:00", "Mars/Olympus", "UTC+25"])
def test_times_of_a_zone(zone: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = pa.csv.read_csv(SAMPLE)
    at = table.schema.get_field_index("applied_on")
    ticks = table.column(at).cast(pa.timestamp("us")).cast(pa.int64())
    table = table.set_column(at, "applied_on", ticks.cast(pa.timestamp("us", tz=zone)))
    with workspace(tmp_path / "w"):
        pq.write_table(table, "data/raw/a.parquet")
        set_params(data={"path": "data/raw/a.parquet"})
        said = prepare_and_validate(capsys)
        if zone in ("UTC", "Europe/Berlin", "+02:00"):
            assert said.code == 0, said.text
            return
    assert (said.code, said.text.count("\n")) == (2, 1)
    assert f"column 'applied_on' holds times of {zone!r}, which is no time zone" in said.text


def test_text_is_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ids and free text, which adopt calls str, are adopted and pass validation."""
    from ops.adopt import adopt
    from ops.adopt.arguments import Arguments

    table = text()
    table["application_id"] = "A-" + table["application_id"]
    table["remark"] = [f"customer {i * 7919 % ROWS} called" if i % 9 else "" for i in range(ROWS)]
    with workspace(tmp_path / "w"):
        table.to_csv("new.csv", index=False)
        given = Arguments("new.csv", "defaulted", id="application_id", time="applied_on")
        said = stage("adopt", lambda: adopt.adopt(given), capsys)
        assert said.code == 0, said.text
        columns = YAML(typ="safe").load(Path("schema.yaml"))["columns"]
        assert columns["application_id"] == {"dtype": "str", "unique": True}
        assert columns["remark"] == {"dtype": "str", "nullable": True}
        said = prepare_and_validate(capsys)
        assert said.code == 0, said.text
        set_params(data={"drop": ["remark"]})
        assert prepare_and_validate(capsys).code == 0


def loans(rows: int, seed: int) -> bytes:
    """Other applications from the generator of the sample."""
    sys.path.append(str(ROOT / "benchmarks"))
    import loans as generator

    table = generator.loans(rows, seed).drop(columns="chance")
    table["has_guarantor"] = np.where(table["has_guarantor"], "true", "false")
    return write(table)


def shuffled() -> bytes:
    return write(text().sample(frac=1, random_state=0))


def quoted() -> bytes:
    out = io.StringIO()
    text().to_csv(out, index=False, quoting=1)
    return out.getvalue().encode()


def parquet() -> bytes:
    out = pa.BufferOutputStream()
    pq.write_table(pa.csv.read_csv(SAMPLE), out)
    return out.getvalue().to_pybytes()


def zstd() -> bytes:
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as stream:
        stream.write(BYTES)
    return out.getvalue().to_pybytes()


HALF = 1 + BYTES.index(b"\n", len(BYTES) // 2)
GOOD: dict[str, dict[str, Make]] = {
    "byte order mark": {"a.csv": lambda: b"\xef\xbb\xbf" + BYTES},
    "CRLF": {"a.csv": lambda: BYTES.replace(b"\n", b"\r\n")},
    "reordered columns": {"a.csv": only(lambda names: names[::-1])},
    "shuffled": {"a.csv": shuffled},
    "gz": {"a.csv.gz": lambda: gzip.compress(BYTES)},
    "zst": {"a.csv.zst": zstd},
    "parquet": {"a.parquet": parquet},
    "folder": {
        "a.csv": lambda: BYTES[:HALF],
        "b.csv.gz": lambda: gzip.compress(HEADER + BYTES[HALF:]),
    },
    "folders in a folder": {
        "2026/a.csv": lambda: BYTES[:HALF],
        "2026/05/b.csv": lambda: HEADER + BYTES[HALF:],
    },
    "other seed": {"a.csv": lambda: loans(ROWS, 1)},
    "more missing values": {"a.csv": put("years_employed", "", 300)},
    "fewer rows": {"a.csv": lambda: loans(2_500, 2)},
    "more rows": {"a.csv": lambda: loans(30_000, 3)},
    "quoted": {"a.csv": quoted},
    "no last newline": {"a.csv": lambda: BYTES[:-1]},
    "blank lines at the end": {"a.csv": lambda: BYTES + b"\n\n"},
}


@pytest.mark.parametrize("name", GOOD)
def test_good_data_raises_no_alarm(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with workspace(tmp_path / "w"):
        for file, make in GOOD[name].items():
            Path("data/raw", file).parent.mkdir(parents=True, exist_ok=True)
            Path("data/raw", file).write_bytes(make())
        path = "data/raw" if len(GOOD[name]) > 1 else f"data/raw/{file}"
        set_params(data={"path": path})
        said = prepare_and_validate(capsys)
        assert said.code == 0, said.text
        assert json.loads(Path("reports/validation.json").read_text())["problems"] == []


@pytest.mark.parametrize("cores", [1, 2])
def test_a_late_value_widens_its_column_on_any_machine(cores: int, tmp_path: Path) -> None:
    """Arrow words its errors otherwise where there is a single core."""
    from core import tables

    file, here = tmp_path / "late.csv", pa.cpu_count()
    file.write_text("a,b,c\n" + "1,2026-01-01,1\n" * 700_000 + "0.5,soon,1\n")  # two blocks
    pa.set_cpu_count(cores)
    try:
        kinds = tables.read(file).schema
    finally:
        pa.set_cpu_count(here)
    assert [str(kinds.field(name).type) for name in "abc"] == ["double", "string", "int64"]
