"""Bring your own data in: params.yaml, schema.yaml and the rest are written to fit it."""

import argparse
import csv
import io
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline import config, contract, findings, offsite, prepared, raw, stage, strict
from pipeline.adoption import arguments, edits, infer
from pipeline.adoption import trial as trials
from pipeline.errors import Problem
from pipeline.judging import gates
from pipeline.validate import REFERENCE

PARAMS = Path("params.yaml")
PIPELINE = Path("dvc.yaml")
GITHUB_BYTES = 50 << 20  # GitHub warns from here on, and refuses 100 MB


def adopt(args: argparse.Namespace) -> None:
    """Decide, show what was decided, and write it (or, with --dry-run, show the edits).

    Raises `Problem`, before anything is written, for arguments, data or files
    of settings that cannot be used.
    """
    old = config.load(PARAMS)
    arguments.check(args)
    place = arguments.destination(args.file)
    target = prepared.to_pandas(raw.read(args.file, [args.target]))[args.target]
    task, why = infer.task(target, args.task)
    way = "group" if args.group else "hash" if args.id else "time" if args.time else "random"
    given = {part: getattr(args, part) for part in arguments.PARTS}
    given |= {"path": place.as_posix(), "task": task}

    text = edits.set_values(edits.read(PARAMS), "prepare", {"split": way})
    text = edits.set_values(text, "data", given)
    wanted = strict.check(config.Params, edits.load(text), PARAMS)
    trial = trials.run(wanted, Path(args.file), edits.read(contract.PATH), old.data)
    text = edits.set_values(text, "data", trial.data.model_dump())
    text = edits.set_values(text, "validate", trial.limits)
    files = {
        gates.CASES: _cases([name for name, *_ in trial.columns if name != args.target], task),
        contract.PATH: trial.schema,
        PIPELINE: _with_plots(edits.read(PIPELINE), task),
        gates.PATH: _gates(edits.read(gates.PATH), old.data, trial.data),
        PARAMS: text,
    }
    by = {"hash": "id", "random": "no column"}.get(way, way)
    decisions: list[tuple[str, Any, str]] = [
        ("data.task", task, why),
        ("prepare.split", way, f"by {by}"),
    ]
    decisions += [("data.drop", name, "holds one value in all rows")
                  for name in trial.data.drop if name not in args.drop]  # fmt: skip
    for key, limit in trial.limits.items():
        was = getattr(old.validation, key)
        decisions.append((f"validate.{key}", limit, f"was {was}; the data is beyond it"))
    _show(trial, decisions)
    if args.dry_run:
        _diff(args.file, place, files, trial.profile)
    else:
        _write(args.file, place, files, trial.profile)
        _next(args.file, place, old.data.path)


def _cases(columns: list[str], task: str) -> str:
    """The example cases: those that are there where they have these columns, else none yet."""
    out = io.StringIO()
    expected = (
        ["expected", "expected_low", "expected_high"] if task == "regression" else ["expected"]
    )
    csv.writer(out, lineterminator="\n").writerow([*columns, *expected])
    old = edits.read(gates.CASES) if gates.CASES.exists() else ""
    return old if old.split("\n")[0] == out.getvalue().strip("\n") else out.getvalue()


def _gates(text: str, old: config.Data, new: config.Data) -> str:
    """gates.yaml as it is for the same data, else with limits that beat guessing."""
    if (old.path, old.target, old.task) == (new.path, new.target, new.task):
        return text
    for section, limits in gates.starting(new.task, new.protected).items():
        text = edits.set_block(text, section, limits)
    return text


def _with_plots(text: str, task: str) -> str:
    """dvc.yaml with the plots that the task has."""
    from pipeline import plots  # and with it torch: a second or two

    return edits.set_block(text, "plots", plots.DECLARED[task])


def _show(trial: trials.Trial, decisions: list[tuple[str, Any, str]]) -> None:
    console = Console(width=None if Console().is_terminal else 120)
    columns = Table("column", "kind", "part", "rule in schema.yaml", title="columns")
    for name, part, rule in trial.columns:
        rest = {**rule, **rule.get("checks", {})}
        says = ", ".join(
            _says(key, value) for key, value in rest.items() if key not in ("dtype", "checks")
        )
        columns.add_row(*map(escape, (name, rule["dtype"], part, says)))
    settings = Table("params.yaml", "value", "why", title="decisions")
    for decision in decisions:
        settings.add_row(*(escape(str(cell)) for cell in decision))
    console.print(columns, settings)
    for hint in trial.hints:
        console.print(f"hint: {escape(hint)}")
    if trial.left:
        findings.show(trial.left)
        console.print("[bold]validation will refuse this data[/]: mend it, or leave columns out "
                      "with --drop")  # fmt: skip


def _says(key: str, value: Any) -> str:
    if key == "in_range":
        return f"{value['min_value']} to {value['max_value']}"
    if key == "isin":
        more = f", and {len(value) - 8} more" if len(value) > 8 else ""
        return f"one of {', '.join(map(str, value[:8]))}{more}"
    return key if value is True else f"{key.replace('_', ' ')} {value}"


def _diff(file: str, place: Path, files: dict[Path, str], profile: dict[str, Any]) -> None:
    for path in sorted(files):
        print(edits.diff(path, files[path]), end="")
    if not REFERENCE.exists() or stage.read_json(REFERENCE) != profile:
        print(f"{REFERENCE}: would hold the profile of {sum(profile['rows'].values()):,} rows")
    if not _same(Path(file), place):
        print(f"{place}: would be a copy of {file}")
    print("nothing was written")


def _same(file: Path, place: Path) -> bool:
    return place.exists() and place.resolve() == file.resolve()


def _write(file: str, place: Path, files: dict[Path, str], profile: dict[str, Any]) -> None:
    """Data first, params.yaml last: whoever is interrupted runs it again."""
    if not _same(Path(file), place):
        for one in raw.files(file):
            with stage.replacing(place / one.name if Path(file).is_dir() else place) as temporary:
                shutil.copyfile(one, temporary)
    if _on_s3():
        add = [sys.executable, "-m", "dvc", "add", "--quiet", str(place)]
        done = subprocess.run(add, capture_output=True, text=True)
        if done.returncode:
            raise Problem(f"dvc add {place}: {done.stderr.strip()}")
    stage.write_json(REFERENCE, profile)
    for path, text in files.items():
        if not path.exists() or edits.read(path) != text:
            with stage.replacing(path) as temporary:
                temporary.write_text(text, encoding="utf-8")


def _on_s3() -> bool:
    """Whether .dvc/config names a default remote on S3: data is then tracked by DVC, not by Git."""
    return offsite.storage().startswith("s3://")


def _next(file: str, place: Path, old: str) -> None:
    if Path(old).exists() and Path(old) != place:
        print(f"{old} is no longer used; it was left where it is")
    size = sum(one.stat().st_size for one in raw.files(place))
    if not _on_s3() and size > GITHUB_BYTES:
        print(f"{place} has {size >> 20} MB: too much for Git; set an S3 remote and run this again")
    tracked = [f"{place}.dvc", "data/raw/.gitignore"] if _on_s3() else [str(place)]
    added = [
        str(path) for path in (PARAMS, contract.PATH, gates.PATH, PIPELINE, REFERENCE, gates.CASES)
    ] + tracked
    print(f"""next:
  dvc repro
  git add {shlex.join([*added, "dvc.lock", "metrics", "plots", "reports"])}
  git commit -m {shlex.quote(f"Adopt {place.name}")}""")
    if _on_s3():
        print("  dvc push")


def main() -> None:
    """`python -m pipeline.adopt FILE --target COL`"""
    adopt(arguments.parse())


if __name__ == "__main__":
    stage.run("adopt", main)
