"""What `ml adopt` was asked for, checked against the data."""

from collections.abc import Container
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from core import tables
from core.errors import Problem, nearest
from core.paths import RAW
from core.tables import to_pandas
from ops.adopt import infer

PARTS = ("target", "id", "time", "label_time", "group", "protected", "drop")


class Arguments(NamedTuple):
    """What `ml adopt` was asked for; a column each, but for `protected` and `drop`."""

    file: str
    target: str
    task: str | None = None
    id: str | None = None
    time: str | None = None
    label_time: str | None = None
    group: str | None = None
    protected: list[str] = []  # noqa: RUF012
    drop: list[str] = []  # noqa: RUF012
    dry_run: bool = False
    as_json: bool = False


def check(args: Arguments) -> Arguments:
    """The arguments, `protected` and `drop` as lists of columns.

    Raises `Problem` that lists all mistakes: columns exist and play one part each; an id is unique,
    a time is a time.
    """
    if not Path(args.file).exists():
        near = [str(one) for one in Path(args.file).parent.glob("*")]
        raise Problem(f"{args.file}: no such file{nearest(args.file, near)}")
    names = tables.types(args.file)
    args = args._replace(protected=_split(args.protected, names), drop=_split(args.drop, names))
    wrong, taken = [], dict[str, str]()
    for part in PARTS:
        given, option = getattr(args, part), f"--{part.replace('_', '-')}"
        for column in given if isinstance(given, list) else [given] if given is not None else []:
            if column not in names:
                close = nearest(column, names) or f"; it has {', '.join(list(names)[:8])}"
                wrong.append(f"{option} {column}: no such column in {args.file}{close}")
            elif column in taken:
                wrong.append(f"{option} {column}: that column is {taken[column]} already")
            elif part != "protected":
                taken[column] = option
    if args.label_time and not args.time:
        wrong.append("--label-time: needs --time, the date that it is compared with")
    _raise(wrong)
    times = {"--time": args.time, "--label-time": args.label_time}
    wanted = [column for column in (args.id, *times.values()) if column]
    if not wanted:
        return args
    values = to_pandas(tables.read(args.file, wanted))
    if args.id:
        ids = values[args.id]
        repeated = ids.duplicated(keep=False) | ids.isna()
        if repeated.any():
            cases = ", ".join(map(str, ids[repeated].unique()[:3]))
            wrong.append(
                f"--id {args.id}: not unique: {int(repeated.sum()):,} of {len(ids):,} rows share "
                f"theirs or have none, for example {cases}"
            )
    for option, column in times.items():
        what = infer.not_a_time(pd.Series(values[column])) if column else ""
        if what:
            wrong.append(f"{option} {column}: {what}")
    _raise(wrong)
    return args


def _split(values: list[str], names: Container[str]) -> list[str]:
    """Columns given one by one or separated by commas; a column's whole name wins."""
    parts = ([value] if value in names else value.split(",") for value in values)
    return [part.strip() if part not in names else part for some in parts for part in some]


def _raise(wrong: list[str]) -> None:
    if wrong:
        raise Problem("\n".join(wrong))


def destination(path: str) -> Path:
    """Where the data at `path` is to lie: below data/raw, which is where it may be already."""
    file, here = Path(path).resolve(), RAW.resolve()
    if here == file or here in file.parents:
        return RAW / file.relative_to(here)
    place = RAW / file.name
    if place.exists() and place.is_dir() != file.is_dir():
        raise Problem(f"{place} is there already; rename {path}")
    if place.is_dir():
        mine = {one.name for one in tables.files(file)}
        others = [
            one.name for one in place.iterdir() if one.name.endswith(tables.CSV + tables.PARQUET)
        ]
        if extra := sorted(set(others) - mine):
            raise Problem(f"{place} holds {', '.join(extra)} too; remove it, or rename {path}")
    return place
