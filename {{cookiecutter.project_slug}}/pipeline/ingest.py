"""Let new data join what is there, each batch on its own; refused ones go to quarantine."""

import argparse
import shlex
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from pipeline import checks, config, contract, findings, prepared, profile, raw, stage
from pipeline.errors import Problem
from pipeline.findings import Finding, found
from pipeline.validate import REFERENCE
from pipeline.watching import batches, reference, retraining
from pipeline.watching.examine import examine

REPORT = Path("reports/ingest.json")


def ingest(paths: list[str]) -> list[dict[str, Any]]:
    """Look at each batch, let it join or keep it apart; what became of each.

    `verdict` is joined, known (its content is there already) or refused, with `reasons`. Raises
    `Problem` (exit 2), before anything is written, for what is no table or settings of no use.
    """
    params, limits, schema = config.load(), retraining.load(), contract.load()
    files = [file for path in paths for file in _tables(path)]
    place, against = batches.find(params.data.path), reference.find()
    results = []
    for file in files:
        known = place.known().get(batches.md5(file))
        about: dict[str, Any] = {"file": file.name, "md5": batches.md5(file)}
        if known:
            results.append(about | {"verdict": "known", "as": str(known)})
            continue
        rows, reasons, moved = examine(file, place, params, schema, against)
        share = len(moved["drifted"]) / moved["compared"] if moved.get("drift") else 0.0
        if share > limits.ingest.max_drifted:
            says = f"at most {limits.ingest.max_drifted:.0%} (ingest.max_drifted in retrain.yaml)"
            reasons.append(found("drift", ", ".join(moved["drifted"]), rows, rows,
                                 [f"{share:.0%} of the columns"], says))  # fmt: skip
        about |= {"rows": rows, "drift": moved.get("findings", [])}
        about["verdict"] = "refused" if reasons else "joined"
        if reasons:
            about["reasons"] = [one._asdict() for one in reasons]
            about["as"] = str(batches.refuse(file, about))
        else:
            about["as"] = str(batches.join(place, file))
        results.append(about)
    tracked = batches.settle(place)
    _record(results, _renewed(results, place, params), tracked)
    return results


def _tables(path: str) -> list[Path]:
    try:
        return raw.files(path)
    except Problem as problem:
        raise Problem(str(problem).split(";")[0], 2) from None


def _renewed(
    results: list[dict[str, Any]], place: batches.Place, params: config.Params
) -> list[str]:
    """Columns of data/reference/profile.json made anew, for validate would refuse what joined."""
    joined = [one for one in results if one["verdict"] == "joined"]
    moved = sorted({x["column"] for one in joined for x in one["drift"] if x["drift"]})
    content = stage.read_json(REFERENCE) if moved else {}
    renewed = []
    for name in moved:
        if name not in content.get("columns", {}):
            continue
        values = prepared.to_pandas(raw.read(place.folder, [name]))[name]
        now = profile.drift(content["columns"][name], values)
        if now and checks.drifted(name, now, len(values), params.validation):
            content["columns"][name] = profile.describe(values)
            renewed.append(name)
    if renewed:
        stage.write_json(REFERENCE, content)
    return renewed


def _record(results: list[dict[str, Any]], renewed: list[str], tracked: bool) -> None:
    """Say what became of each batch and what comes next; write it down where one has joined."""
    console = Console(width=None if Console().is_terminal else 120)

    def say(text: str, style: str = "") -> None:
        console.print(escape(text), highlight=False, soft_wrap=True, style=style)

    for one in results:
        if one["verdict"] == "known":
            say(f"{one['file']}: nothing added; the same content is there as {one['as']}")
            continue
        say(f"{one['file']}: {one['rows']:,} rows {one['verdict']}, now {one['as']}")
        if one["verdict"] == "refused":
            findings.show([Finding(**reason) for reason in one["reasons"]])
        for told in one["drift"]:
            loud = told["drift"]
            what = f"{told['column']}: {told['what']}: {told['says']}"
            say(f"  {'DRIFT' if loud else 'note'}: {what}", "bold red" if loud else "")
    if renewed:
        say(f"{REFERENCE}: made anew for {', '.join(renewed)}, for `dvc repro validate` would "
            "refuse what has joined; look at it before you commit")  # fmt: skip
    if any(one["verdict"] == "joined" for one in results):
        stage.write_json(REPORT, {"batches": results, "reference_renewed": renewed})
        added = ["data/raw", "params.yaml", *([str(REFERENCE)] if renewed else []), str(REPORT)]
        say(f"next:\n  python -m pipeline.trigger\n  git add -A {shlex.join(added)}\n"
            "  git commit -m 'New data'" + ("\n  dvc push" if tracked else ""))  # fmt: skip


def main() -> None:
    """`python -m pipeline.ingest`: exit 0 all joined or known, 1 some refused, 2 bad use."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.ingest", description=__doc__)
    parser.add_argument("files", metavar="FILE", nargs="+", help="CSV, Parquet, or a folder")
    results = ingest(parser.parse_args().files)
    refused = [one["file"] for one in results if one["verdict"] == "refused"]
    if refused:
        raise Problem(f"{len(refused)} of {len(results)} refused: {', '.join(refused)}; "
                      f"see {batches.QUARANTINE}")  # fmt: skip


if __name__ == "__main__":
    stage.run("ingest", main)
