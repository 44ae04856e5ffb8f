"""What `python -m pipeline.adopt` was asked for: read, and checked against the data."""

import argparse
from pathlib import Path
from typing import NoReturn

import pandas as pd

from pipeline import config, prepared, raw
from pipeline.adoption import infer
from pipeline.errors import Problem, nearest

RAW = Path(config.RAW)
PARTS = ("target", "id", "time", "label_time", "group", "protected", "drop")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        known = [name for action in self._actions for name in action.option_strings]
        meant = "".join(nearest(word, known) for word in message.split() if word[:2] == "--")
        hint = meant if message.startswith("unrecognized") else ""
        raise Problem(f"{message}{hint}; --help lists what there is", 2)


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """The command line. Raises `Problem` (exit 2) where it cannot be understood."""
    about = "Bring your own data in: params.yaml, schema.yaml and the rest are written to fit it."
    parser = _Parser(prog="python -m pipeline.adopt", description=about, allow_abbrev=False)
    parser.add_argument(
        "file", help="CSV (also .gz, .zst) or Parquet; a file, or a folder of files"
    )
    parser.add_argument("--target", required=True, help="the column to predict", metavar="COL")
    parser.add_argument("--task", choices=["binary", "multiclass", "regression"],
                        help="inferred from the target unless given")  # fmt: skip
    parser.add_argument("--id", help="identifies a row; rows are split by its hash", metavar="COL")
    parser.add_argument("--time", help="when the row came to be", metavar="COL")
    parser.add_argument("--label-time", help="when its label was known", metavar="COL")
    parser.add_argument(
        "--group", help="rows of one group stay on one side of the split", metavar="COL"
    )
    parser.add_argument("--protected", help="scores are reported for each of its groups",
                        metavar="COL", nargs="+", action="extend", default=[])  # fmt: skip
    parser.add_argument("--drop", help="a column that the model must not see",
                        metavar="COL", nargs="+", action="extend", default=[])  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="show the edits, write nothing")
    return parser.parse_args(words)


def check(args: argparse.Namespace) -> None:
    """Columns exist and play one part each; an id is unique, a time is a time.

    Raises `Problem` (exit 2) that lists all mistakes, or (exit 1) what is wrong with the file.
    """
    if not Path(args.file).exists():
        near = [str(one) for one in Path(args.file).parent.glob("*")]
        raise Problem(f"{args.file}: no such file{nearest(args.file, near)}", 2)
    names = raw.types(args.file)
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
        return
    values = prepared.to_pandas(raw.read(args.file, wanted))
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


def _raise(wrong: list[str]) -> None:
    if wrong:
        raise Problem("\n".join(wrong), 2)


def destination(path: str) -> Path:
    """Where the data at `path` is to lie: below data/raw, which is where it may be already."""
    file, here = Path(path).resolve(), RAW.resolve()
    if here == file or here in file.parents:
        return RAW / file.relative_to(here)
    place = RAW / file.name
    if place.exists() and place.is_dir() != file.is_dir():
        raise Problem(f"{place} is there already; rename {path}")
    if place.is_dir():
        mine = {one.name for one in raw.files(file)}
        others = [one.name for one in place.iterdir() if one.name.endswith(raw.CSV + raw.PARQUET)]
        if extra := sorted(set(others) - mine):
            raise Problem(f"{place} holds {', '.join(extra)} too; remove it, or rename {path}")
    return place
