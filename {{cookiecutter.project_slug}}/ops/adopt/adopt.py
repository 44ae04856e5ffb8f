"""Bring your own data in: params.yaml, schema.yaml and the rest are written to fit it."""

import csv
import io
import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from core import tables, yaml_edit
from core.dvc_config import remote_url
from core.errors import Problem, Refused
from core.files import lock, read_json, replacing, write_json
from core.paths import CASES, GATES, PARAMS, PIPELINE, REFERENCE, SCHEMA
from core.tables import to_pandas
from core.validation import findings
from core.yaml_io import check_yaml, read_yaml
from ops.adopt import arguments, infer
from ops.adopt import trial as trials
from ops.gates.gates_yaml import starting_gates
from pipeline.params import Data, Params, load_params

PLOTS = Path(__file__).with_name("plots.yaml")  # of dvc.yaml, by task
GITHUB_BYTES = 50 << 20  # GitHub warns from here on, and refuses 100 MB


def adopt(args: arguments.Arguments) -> None:
    """Decide, show what was decided, and write it (or, with --dry-run, show the edits).

    Raises `Problem`, before anything is written, for arguments, data or settings that cannot be
    used; `Refused` (exit 1), at the end, where the data breaks what no limit can allow.
    """
    old = load_params(PARAMS)
    args = arguments.check(args)
    place = arguments.destination(args.file)
    target = to_pandas(tables.read(args.file, [args.target]))[args.target]
    task, why = infer.task(target, args.task)
    way = "group" if args.group else "hash" if args.id else "time" if args.time else "random"
    given = {part: getattr(args, part) for part in arguments.PARTS}
    given |= {"path": place.as_posix(), "task": task}

    text = yaml_edit.set_values(yaml_edit.read(PARAMS), "prepare", {"split": way})
    text = yaml_edit.set_values(text, "data", given)
    wanted = check_yaml(Params, yaml_edit.load(text), PARAMS)
    trial = trials.run(wanted, Path(args.file), yaml_edit.read(SCHEMA), old.data)
    text = yaml_edit.set_values(text, "data", trial.data.model_dump())
    text = yaml_edit.set_values(text, "validate", trial.limits)
    cases, note = _cases([name for name, *_ in trial.columns if name != args.target], task)
    files = {
        CASES: cases,
        SCHEMA: trial.schema,
        PIPELINE: _with_plots(yaml_edit.read(PIPELINE), task),
        GATES: _gates(yaml_edit.read(GATES), old.data, trial),
        PARAMS: text,
    }
    by = {"hash": "id", "random": "no column"}.get(way, way)
    decisions: list[tuple[str, Any, str]] = [
        ("data.task", task, why),
        ("prepare.split", way, f"by {by}"),
    ]
    decisions += [
        ("data.drop", name, "holds one value in all rows")
        for name in trial.data.drop
        if name not in args.drop
    ]
    decisions += [
        ("fairness in gates.yaml", f"not of {name}", "no two groups have enough test rows")
        for name in trial.data.protected
        if name not in trial.groups and task != "regression"
    ]
    decisions += [(CASES.name, "the cases", note)] if note else []
    for key, limit in trial.limits.items():
        was = getattr(old.validation, key)
        decisions.append((f"validate.{key}", limit, f"was {was}; the data is beyond it"))
    if not args.as_json:
        _show(trial, decisions)
    if not args.dry_run:
        _write(args.file, place, files, trial.profile)
    if args.as_json:
        print(_as_json(args, trial, decisions))
    elif args.dry_run:
        _diff(args.file, place, files, trial.profile)
    elif not trial.left:
        _next(place, old.data.path)
    if trial.left:
        raise Refused(
            f"the stage validate will refuse this data ({len(trial.left)} problems, see above): "
            "fix it, or leave columns out with --drop, and adopt it again"
        )


def _as_json(
    args: arguments.Arguments, trial: trials.Trial, decisions: list[tuple[str, Any, str]]
) -> str:
    content = {
        "data": trial.data.model_dump(),
        "columns": [dict(zip(("name", "part", "rule"), one, strict=True)) for one in trial.columns],
        "decisions": [dict(zip(("key", "value", "why"), one, strict=True)) for one in decisions],
        "problems": [one._asdict() for one in trial.left],
        "hints": trial.hints,
        "written": not args.dry_run,
    }
    return json.dumps(content, indent=2, ensure_ascii=False, default=str)


def _cases(columns: list[str], task: str) -> tuple[str, str]:
    """The example cases that fit these columns, and what became of those that were there.

    Where half of the columns are known, a case is kept and what it lacks is empty.
    """
    expected = ["expected_low", "expected_high"] if task == "regression" else []
    header = [*columns, "expected", *expected]
    old = yaml_edit.read(CASES) if CASES.exists() else ""
    if old.split("\n")[0] == ",".join(header):
        return old, ""
    cases = list(csv.DictReader(io.StringIO(old)))
    new = [name for name in columns if cases and name not in cases[0]]
    kept = cases if 2 * len(new) <= len(columns) else []
    out = io.StringIO()
    writer = csv.DictWriter(out, header, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(kept)
    if not cases:
        return out.getvalue(), ""
    if not kept:
        return out.getvalue(), "left out: they are of other columns; Git has them"
    return out.getvalue(), f"kept; fill in {', '.join(new)}" if new else "kept"


def _gates(text: str, old: Data, trial: trials.Trial) -> str:
    """gates.yaml as it is for the same data, else with limits that beat guessing."""
    new = trial.data
    if (old.path, old.target, old.task) == (new.path, new.target, new.task):
        return text
    for section, limits in starting_gates(new.task, trial.groups).items():
        text = yaml_edit.set_block(text, section, limits)
    return text


def _with_plots(text: str, task: str) -> str:
    """dvc.yaml with the plots that the task has."""
    return yaml_edit.set_block(text, "plots", read_yaml(PLOTS)[task])


def _show(trial: trials.Trial, decisions: list[tuple[str, Any, str]]) -> None:
    console = Console(width=None if Console().is_terminal else 120)
    columns = Table("column", "kind", "part", "rule in schema.yaml", title="columns")
    for name, part, rule in trial.columns:
        rest = {**rule, **rule.get("checks", {})}
        message = ", ".join(
            _says(key, value) for key, value in rest.items() if key not in ("dtype", "checks")
        )
        columns.add_row(*map(escape, (name, rule["dtype"], part, message)))
    settings = Table("params.yaml", "value", "why", title="decisions")
    for decision in decisions:
        settings.add_row(*(escape(str(cell)) for cell in decision))
    console.print(columns, settings)
    for hint in trial.hints:
        console.print(f"hint: {escape(hint)}")
    if trial.left:
        findings.show(trial.left)


def _says(key: str, value: Any) -> str:
    if key == "in_range":
        return f"{value['min_value']} to {value['max_value']}"
    if key == "isin":
        more = f", and {len(value) - 8} more" if len(value) > 8 else ""
        return f"one of {', '.join(map(str, value[:8]))}{more}"
    return key if value is True else f"{key.replace('_', ' ')} {value}"


def _diff(file: str, place: Path, files: dict[Path, str], profile: dict[str, Any]) -> None:
    for path in sorted(files):
        print(yaml_edit.diff(path, files[path]), end="")
    if not REFERENCE.exists() or read_json(REFERENCE) != profile:
        print(f"{REFERENCE}: would hold the profile of {sum(profile['rows'].values()):,} rows")
    if not _same(Path(file), place):
        print(f"{place}: would be a copy of {file}")
    print("nothing was written")


def _same(file: Path, place: Path) -> bool:
    return place.exists() and place.resolve() == file.resolve()


def _write(file: str, place: Path, files: dict[Path, str], profile: dict[str, Any]) -> None:
    """Data first, params.yaml last: whoever is interrupted runs it again."""
    if not _same(Path(file), place):
        with lock():
            for one in tables.files(file):
                with replacing(place / one.name if Path(file).is_dir() else place) as temporary:
                    shutil.copyfile(one, temporary)
    if _on_s3():
        add = [sys.executable, "-m", "dvc", "add", "--quiet", str(place)]
        done = subprocess.run(add, capture_output=True, text=True)
        if done.returncode:
            raise Problem(f"dvc add {place}: {done.stderr.strip()}")
    write_json(REFERENCE, profile)
    for path, text in files.items():
        if not path.exists() or yaml_edit.read(path) != text:
            with replacing(path) as temporary:
                temporary.write_text(text, encoding="utf-8")


def _on_s3() -> bool:
    """Whether .dvc/config names a default remote on S3: data is then tracked by DVC, not by Git."""
    return remote_url().startswith("s3://")


def _next(place: Path, old: str) -> None:
    if Path(old).exists() and Path(old) != place:
        print(f"{old} is no longer used; it was left where it is")
    size = sum(one.stat().st_size for one in tables.files(place))
    if not _on_s3() and size > GITHUB_BYTES:
        print(f"{place} has {size >> 20} MB: too much for Git; set an S3 remote and run this again")
    tracked = [f"{place}.dvc", "data/raw/.gitignore"] if _on_s3() else [str(place)]
    added = [str(path) for path in (PARAMS, SCHEMA, GATES, PIPELINE, REFERENCE, CASES)] + tracked
    print(f"""next:
  dvc repro
  git add {shlex.join([*added, "dvc.lock", "metrics", "plots", "reports"])}
  git commit -m {shlex.quote(f"Adopt {place.name}")}""")
    if _on_s3():
        print("  dvc push")
