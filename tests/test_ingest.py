"""Batches: what breaks the contract never joins, what joins is whole, the same adds nothing."""

import gzip
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import inside
import pandas as pd
import pytest
import yaml
from conftest import ROOT, Generate
from conftest import tree as whole_tree
from shell import dvc, run

sys.path.append(str(ROOT / "benchmarks"))
from loans import loans

from core import files as core_files
from core.errors import Refused
from ops.monitoring import batches, ingest
from pipeline.params import load_params

FOLDER = Path("data/raw/sample")
Change = Callable[[pd.DataFrame], pd.DataFrame]


def batch(rows: int = 600, seed: int = 3) -> pd.DataFrame:
    """New loans, with ids of their own."""
    table = loans(rows, seed).drop(columns="chance")
    table["application_id"] += seed * 1_000_000
    table["has_guarantor"] = table["has_guarantor"].map({True: "true", False: "false"})
    return table


def write(table: pd.DataFrame, path: Path) -> Path:
    table.to_csv(path, index=False, lineterminator="\n")
    return path


@pytest.fixture(scope="module")
def project(generate: Generate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp("ingest"))


@pytest.fixture
def here(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """In a project that has no model yet; drift is measured against data/reference."""
    shutil.copytree(project, tmp_path / "credit-risk", symlinks=True)
    monkeypatch.chdir(tmp_path / "credit-risk")
    return tmp_path / "credit-risk"


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Any:
    """`say(file, ...)`: what the command said, and its exit status."""

    def ingesting(*files: str | Path) -> inside.Said:
        return inside.stage("ingest", lambda: ingest.main([str(one) for one in files]), capsys)

    return ingesting


def tree(folder: Path) -> dict[str, bytes]:
    """Every file, but for what DVC and the stages keep for themselves."""
    files = whole_tree(folder).items()
    return {name: content for name, content in files if not name.startswith(".dvc/tmp/")}


def joined() -> list[str]:
    return sorted(one.name for one in FOLDER.iterdir()) if FOLDER.exists() else []


def reasons(name: str) -> dict[str, Any]:
    return json.loads(Path(f"data/quarantine/{name}.reasons.json").read_text())


def test_the_first_batch_turns_the_file_into_a_folder(here: Path, say: Any, tmp_path: Path) -> None:
    before, sample = load_params(), Path("data/raw/sample.csv").read_bytes()
    comments = Path("params.yaml").read_text().count("#")
    said = say(write(batch(), tmp_path / "july.csv"))
    assert (said.code, "600 rows joined" in said.text) == (0, True)
    assert "ml trigger" in said.text
    assert joined() == ["sample.csv", "sample_july.csv"]
    assert (FOLDER / "sample.csv").read_bytes() == sample
    assert not Path("data/raw/sample.csv").exists()
    after = load_params()
    assert after.data.path == FOLDER.as_posix()
    assert after.model_copy(update={"data": before.data}) == before
    assert Path("params.yaml").read_text().count("#") == comments
    assert json.loads(Path("reports/ingest.json").read_text())["batches"][0]["rows"] == 600
    assert say(write(batch(seed=4), tmp_path / "t.csv")).code == 0
    assert joined() == ["sample.csv", "sample_july.csv", "t.csv"]
    told = next(line for line in said.text.splitlines() if "git add" in line)
    run("sh", "-c", told.strip(), cwd=here)


def test_what_joined_goes_through_the_pipeline(
    here: Path, say: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drifted = batch(8_000).assign(income=lambda table: table["income"] * 2)
    said = say(write(drifted, tmp_path / "a.csv"), write(batch(500, 5), tmp_path / "b.csv"))
    assert said.code == 0
    assert "DRIFT: income: psi" in said.text
    assert "data/reference/profile.json: made anew for income" in said.text
    said = inside.prepare_and_validate(capsys)
    assert said.code == 0, said.text
    assert "validated 18,500 rows" in said.text
    run("git", "checkout", "data/reference/profile.json", cwd=here)
    said = inside.prepare_and_validate(capsys)
    assert (said.code, "drift" in said.text) == (1, True)  # so the reference had to be made anew


def test_the_same_content_adds_nothing(here: Path, say: Any, tmp_path: Path) -> None:
    file = write(batch(), tmp_path / "july.csv")
    assert say(file).code == 0
    before = tree(here)
    for again in (file, shutil.copy(file, tmp_path / "other name.csv"), FOLDER):
        said = say(again)
        assert (said.code, "nothing added" in said.text) == (0, True)
        assert tree(here) == before
    said = say(FOLDER / "sample.csv")
    assert "the same content is there as data/raw/sample/sample.csv" in said.text


def test_the_same_content_twice_in_one_call_joins_once(
    here: Path, say: Any, tmp_path: Path
) -> None:
    file = write(batch(), tmp_path / "x.csv")
    said = say(file, shutil.copy(file, tmp_path / "y.csv"))
    assert (said.code, joined()) == (0, ["sample.csv", "x.csv"])
    assert "nothing added" in said.text


def test_before_anything_joined_the_data_itself_is_known(here: Path, say: Any) -> None:
    before = tree(here)
    assert say("data/raw/sample.csv").code == 0
    assert tree(here) == before


BAD: dict[str, tuple[Change, str, str]] = {
    "out of range": (lambda t: t.assign(age=[-1, *t["age"][1:]]), "in_range(18, 100)", "age"),
    "not_a_number": (
        lambda t: t.assign(income=["much", *t["income"][1:]]), "not_a_number", "income",
    ),
    "unknown level": (lambda t: t.assign(region=["moon", *t["region"][1:]]),
                      "isin(['north', 'south', 'east', 'west', 'centre'])", "region"),
    "missing_value": (lambda t: t.assign(age=[None, *t["age"][1:]]), "missing_value", "age"),
    "no label": (
        lambda t: t.assign(defaulted=[None, *t["defaulted"][1:]]), "missing_value", "defaulted",
    ),
    "more columns": (lambda t: t.assign(colour="red"), "unknown_column", "colour"),
    "fewer columns": (lambda t: t.drop(columns="income"), "missing_column", "income"),
    "repeated_id": (
        lambda t: t.assign(application_id=[*t["application_id"][1:], t["application_id"][5]]),
        "repeated_value", "application_id",
    ),
    "id of the data": (
        lambda t: t.assign(application_id=[100_001, *t["application_id"][1:]]),
        "known_id", "application_id",
    ),
    "rows twice": (
        lambda t: pd.concat([t, t.assign(application_id=t["application_id"] + 10**6)]),
        "duplicate_rows", "",
    ),
    "dates as words": (
        lambda t: t.assign(applied_on=["soon", *t["applied_on"][1:].astype("str")]),
        "not_a_date", "applied_on",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_batch_that_breaks_the_contract_is_quarantined(
    here: Path, say: Any, tmp_path: Path, case: str
) -> None:
    change, check, column = BAD[case]
    before = tree(here / "data/raw")
    file = write(change(batch()), tmp_path / "bad.csv")
    said = say(file)
    assert (said.code, "1 of 1 refused: bad.csv" in said.text) == (1, True), said.text
    assert tree(here / "data/raw") == before
    assert Path("data/quarantine/bad.csv").read_bytes() == file.read_bytes()
    found = [(one["check"], one["column"]) for one in reasons("bad.csv")["reasons"]]
    assert (check, column) in found
    assert len({one for _, one in found}) == 1, found  # and nothing else is said of it
    kept = tree(here)
    assert say(file).code == 1  # and again
    assert tree(here) == kept


def test_the_good_ones_join_all_the_same(here: Path, say: Any, tmp_path: Path) -> None:
    bad = batch(seed=5).assign(age=-1)
    files = [
        write(batch(seed=4), tmp_path / "a.csv"),
        write(bad, tmp_path / "b.csv"),
        write(batch(seed=6), tmp_path / "c.csv"),
    ]
    said = say(*files)
    assert (said.code, "1 of 3 refused: b.csv" in said.text) == (1, True)
    assert joined() == ["sample.csv", "sample_a.csv", "sample_c.csv"]
    # another file of that name, and the first one, mended
    assert say(write(batch(seed=7).assign(age=-1), tmp_path / "b.csv")).code == 1
    assert len(list(Path("data/quarantine").iterdir())) == 4
    inside_quarantine = next(Path("data/quarantine").glob("b_*.csv"))
    text = Path("schema.yaml").read_text()
    Path("schema.yaml").write_text(text.replace("min_value: 18", "min_value: -1"))
    assert say(inside_quarantine, "data/quarantine/b.csv").code == 0
    assert list(Path("data/quarantine").iterdir()) == []


def test_ids_are_compared_with_batches_of_the_same_run(
    here: Path, say: Any, tmp_path: Path
) -> None:
    table = batch()
    files = [write(table, tmp_path / "a.csv"), write(table[::-1], tmp_path / "b.csv")]
    assert say(*files).code == 1
    assert reasons("b.csv")["reasons"][0]["check"] == "known_id"
    assert reasons("b.csv")["reasons"][0]["count"] == 600


def test_without_an_id_rows_are_compared(here: Path, say: Any, tmp_path: Path) -> None:
    inside.set_params(data={"id": None}, prepare={"split": "random"})
    mixed = pd.concat([batch(), pd.read_csv("data/raw/sample.csv", nrows=100, dtype="str")])
    assert say(write(mixed, tmp_path / "mixed.csv")).code == 1
    (reason,) = reasons("mixed.csv")["reasons"]
    assert (reason["check"], reason["count"]) == ("known_rows", 100)
    few = pd.concat([batch(), pd.read_csv("data/raw/sample.csv", nrows=5, dtype="str")])
    few["application_id"] = range(10**8, 10**8 + 605)
    assert say(write(few, tmp_path / "few.csv")).code == 0


UNREADABLE = {
    "empty.csv": (b"", "the file is empty"),
    "header.csv": (b"age,income\n", "a header and no rows"),
    "zeros.csv": (b"a\0b,c\n1,2\n", "null bytes"),
    "semicolons.csv": (b"age;income\n1;2\n", "separated by"),
    "cut.csv": (b"a,b\n1,2\n3\n", "cut off"),
    "latin.csv": ("name,x\nZoé,1\n".encode("latin1"), "not UTF-8"),
    "cut.csv.gz": (gzip.compress(b"a,b\n1,2\n" * 5000)[:40], "cannot be read"),
    "text.parquet": (b"PAR1 not really", "Parquet"),
    "empty.parquet": (b"", "Parquet"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_is_quarantined(
    here: Path, say: Any, tmp_path: Path, name: str
) -> None:
    content, words = UNREADABLE[name]
    (tmp_path / name).write_bytes(content)
    assert say(tmp_path / name).code == 1
    assert Path("data/quarantine", name).read_bytes() == content
    (reason,) = reasons(name)["reasons"]
    assert words in reason["message"]
    assert str(tmp_path) not in reason["message"]


def test_a_folder_gz_and_parquet_join(here: Path, say: Any, tmp_path: Path, capsys: Any) -> None:
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    for i, end in enumerate(("csv.gz", "parquet", "csv")):
        table = batch(300, seed=20 + i)
        if end == "parquet":
            table["has_guarantor"] = table["has_guarantor"] == "true"
            table.to_parquet(incoming / "part.parquet")
        else:
            write(table, incoming / f"part.{end}")
    (incoming / "notes.txt").write_text("not a table")
    assert say(incoming).code == 0
    assert joined() == ["sample.csv", "sample_part.csv", "sample_part.csv.gz",
                        "sample_part.parquet"]  # fmt: skip
    assert "validated 10,900 rows" in inside.prepare_and_validate(capsys).text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda _: ["nowhere.csv"], "no such file"),
        (lambda folder: [folder / "notes.txt"], "unknown kind of file"),
        (lambda folder: [folder / "empty"], "holds no"),
        (lambda folder: [write(batch(), folder / "good.csv"), folder / "notes.txt"], "unknown"),
    ],
)
def test_bad_use_changes_nothing(
    here: Path, say: Any, tmp_path: Path, change: Any, words: str
) -> None:
    (tmp_path / "notes.txt").write_text("not a table")
    (tmp_path / "empty").mkdir()
    before = tree(here)
    said = say(*change(tmp_path))
    assert (said.code, words in said.text) == (2, True), said.text
    assert tree(here) == before


def test_data_that_is_not_here_or_in_the_way_is_bad_use(
    here: Path, say: Any, tmp_path: Path
) -> None:
    file = write(batch(), tmp_path / "new.csv")
    FOLDER.mkdir()
    (FOLDER / "other.csv").write_text("a\n1\n")
    said = say(file)
    assert (said.code, "becomes the folder data/raw/sample" in said.text) == (2, True)
    shutil.rmtree(FOLDER)
    Path("data/raw/sample.csv.dvc").write_text("deps: []\nouts: []\n")
    said = say(file)
    assert (said.code, "dvc update" in said.text) == (2, True)
    Path("data/raw/sample.csv.dvc").unlink()
    Path("data/raw/sample.csv").unlink()
    said = say(file)
    assert (said.code, "dvc pull" in said.text) == (2, True)


def test_a_declared_limit_refuses_what_has_drifted(here: Path, say: Any, tmp_path: Path) -> None:
    moved = write(batch().assign(income=lambda t: t["income"] * 2), tmp_path / "moved.csv")
    text = Path("retrain.yaml").read_text()
    Path("retrain.yaml").write_text(text.replace("max_drifted: 0.5", "max_drifted: 0"))
    said = say(moved)
    assert (said.code, joined()) == (1, [])
    (reason,) = reasons("moved.csv")["reasons"]
    assert (reason["check"], reason["column"]) == ("drift", "income")
    assert "ingest.max_drifted" in reason["message"]
    Path("retrain.yaml").write_text(text)
    assert say(moved).code == 0
    assert json.loads(Path("reports/ingest.json").read_text())["batches"][0]["drift"][0]["drift"]


def test_without_a_reference_the_contract_still_holds(here: Path, say: Any, tmp_path: Path) -> None:
    Path("data/reference/profile.json").write_text("{}")
    assert say(write(batch().assign(age=-1), tmp_path / "bad.csv")).code == 1
    assert say(write(batch(), tmp_path / "good.csv")).code == 0


def test_a_small_batch_does_not_change_how_the_data_is_read(
    here: Path, say: Any, tmp_path: Path
) -> None:
    """Its few rows would make text of the levels if it came first."""
    from core import tables

    before = tables.types("data/raw/sample.csv")
    assert say(write(batch(5), tmp_path / "0.csv")).code == 0
    assert tables.types(FOLDER) == before


def test_a_batch_that_would_turn_numbers_into_text_does_not_fit(
    here: Path, say: Any, tmp_path: Path
) -> None:
    schema = yaml.safe_load(Path("schema.yaml").read_text())
    del schema["columns"]["loan_amount"]
    schema["strict"] = False
    Path("schema.yaml").write_text(yaml.safe_dump(schema))
    Path("data/reference/profile.json").write_text("{}")
    words = batch().astype({"loan_amount": "object"})
    words.loc[3, "loan_amount"] = "much"
    assert say(write(words, tmp_path / "words.csv")).code == 1
    (reason,) = reasons("words.csv")["reasons"]
    assert "would turn loan_amount into text" in reason["message"]


def test_whoever_is_killed_leaves_nothing_half_written(
    here: Path, tmp_path: Path, say: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ended at each step of the move, the next call ends it well."""
    files = [write(batch(seed=seed), tmp_path / f"{seed}.csv") for seed in (4, 5)]

    class Killed(BaseException):
        pass

    def killed(*_: Any) -> None:
        raise Killed

    steps = [(batches, "_copy", 0), (batches, "_copy", 1), (batches, "track", 0),
             (batches.yaml_edit, "set_values", 0), (Path, "unlink", 0)]  # fmt: skip
    for i, (owner, name, calls) in enumerate(steps):
        shutil.rmtree(FOLDER, ignore_errors=True)
        run("git", "checkout", "-q", ".", cwd=here)
        left, whole = [calls], getattr(owner, name)

        def work(*args: Any, left: Any = left, whole: Any = whole, **more: Any) -> Any:
            left[0] -= 1
            return killed() if left[0] < 0 else whole(*args, **more)

        with monkeypatch.context() as patch:
            patch.setattr(owner, name, work)
            with pytest.raises(Killed):
                ingest.ingest([str(one) for one in files])
        content = [one.read_bytes() for one in files]
        sample = run("git", "show", "HEAD:data/raw/sample.csv", cwd=here).encode()
        for file in Path("data/raw").rglob("*.csv"):
            assert file.read_bytes() in [*content, sample], (i, file)
        assert say(*files).code == 0
        assert joined() == ["sample.csv", "sample_4.csv", "sample_5.csv"], i
        assert load_params().data.path == FOLDER.as_posix()
        assert not Path("data/raw/sample.csv").exists()


def test_a_real_kill_leaves_whole_files(here: Path, tmp_path: Path) -> None:
    file = write(batch(8_000), tmp_path / "big.csv")
    command = [sys.executable, "-m", "ops", "ingest", str(file)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not FOLDER.exists():
        time.sleep(0.001)
    process.kill()
    process.wait()
    for one in FOLDER.glob("*.csv"):
        assert one.stat().st_size in (1_029_453, file.stat().st_size)
    FOLDER.mkdir(exist_ok=True)
    Path(FOLDER, ".sample_big.csv.0123abcd.tmp").write_bytes(file.read_bytes()[:5_000])
    run(*command, cwd=here)
    assert joined() == ["sample.csv", "sample_big.csv"]


def test_two_at_once_wait_for_each_other(here: Path, tmp_path: Path) -> None:
    processes = []
    for seed in (4, 5):
        file = write(batch(4_000, seed), tmp_path / f"{seed}.csv")
        command = [sys.executable, "-m", "ops", "ingest", str(file)]
        processes.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        )
    for process in processes:
        text = process.communicate()[0].decode()
        assert process.returncode == 0, text
    assert joined() == ["sample.csv", "sample_4.csv", "sample_5.csv"]
    assert not list(here.glob("data/raw/**/*.tmp"))


def test_nothing_changes_while_another_command_is_at_work(
    here: Path, say: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, before = write(batch(), tmp_path / "july.csv"), tree(here)
    monkeypatch.setattr(core_files, "LOCK_SECONDS", 0.2)
    code = "from core.files import lock\nwith lock(): print('held', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        said = say(file)
        assert (said.code, "another command has been at work here" in said.text) == (2, True)
        assert tree(here) == before
        holder.kill()  # and the lock ends with it
    assert say(file).code == 0
    with core_files.lock():  # a verb that calls another one
        assert say(file).code == 0


def test_the_command_as_json(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = write(batch(), tmp_path / "a.csv")
    bad = write(batch(seed=5).assign(age=-1), tmp_path / "b.csv")
    with pytest.raises(Refused):
        ingest.main([str(good), str(bad)], as_json=True)
    answer = json.loads(capsys.readouterr().out)
    assert [one["verdict"] for one in answer["batches"]] == ["joined", "refused"]
    assert answer["batches"] == json.loads(ingest.REPORT.read_text())["batches"]
    assert answer["batches"][1]["reasons"][0]["column"] == "age"


# Where DVC tracks the data


def test_with_s3_the_folder_is_tracked(generate: Generate, tmp_path: Path) -> None:
    project = generate(tmp_path, dvc_remote="s3")
    file = write(batch(), tmp_path / "new.csv")
    command = [sys.executable, "-m", "ops", "ingest", str(file)]
    said = run(*command, cwd=project)
    assert "dvc push" in said
    raw = project / "data/raw"
    assert sorted(one.name for one in raw.iterdir()) == [".gitignore", "sample", "sample.dvc"]
    assert (raw / ".gitignore").read_text().split() == ["/sample"]
    assert yaml.safe_load((raw / "sample.dvc").read_text())["outs"][0]["nfiles"] == 2
    assert dvc("status", "data/raw/sample.dvc", cwd=project).strip().endswith("up to date.")
    before = tree(project)
    assert "nothing added" in run(*command, cwd=project)
    assert tree(project) == before
    (raw / "sample/late.csv").write_bytes(write(batch(seed=8), tmp_path / "late.csv").read_bytes())
    run(*command, cwd=project)  # killed before `dvc add`: made good
    assert yaml.safe_load((raw / "sample.dvc").read_text())["outs"][0]["nfiles"] == 3


def test_mutated_checks_are_noticed(
    here: Path, say: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests above would see an ingest that looks at nothing."""
    monkeypatch.setattr(ingest, "examine", lambda *_: (1, [], {}))
    assert say(write(batch().assign(age=-1), tmp_path / "bad.csv")).code == 0
    assert joined() == ["sample.csv", "sample_bad.csv"]
