"""Let new data join what is there, each batch on its own; refused ones go to quarantine."""

import json
import shlex
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.markup import escape

from core import tables
from core.errors import Problem, Refused
from core.files import file_md5, lock, read_json, write_json
from core.paths import REFERENCE
from core.tables import to_pandas
from core.validation import column_drift, findings, profile
from core.validation.findings import Finding, finding
from core.validation.schema import load_schema
from ops.monitoring import batches, reference
from ops.monitoring.check_batch import examine
from ops.monitoring.retrain_yaml import load_retrain
from pipeline import data_checks
from pipeline.params import Params, load_params

REPORT = Path("reports/ingest.json")


class Result(NamedTuple):
    """What became of each batch, which columns' reference is new, and whether DVC has the data."""

    batches: list[dict[str, Any]]
    reference_renewed: list[str]
    tracked: bool


def ingest(paths: list[str]) -> Result:
    """Look at each batch, let it join or keep it apart; one command at a time.

    `verdict` is joined, known (its content is there already) or refused, with `reasons`. Raises
    `Problem` (exit 2), before anything is written, for what is no table or settings of no use.
    """
    files = [file for path in paths for file in _tables(path)]
    with lock():
        return _ingest(files)


def _ingest(files: list[Path]) -> Result:
    params, limits, schema = load_params(), load_retrain(), load_schema()
    place, against = batches.find(params.data.path), reference.find()
    results = []
    for file in files:
        known = place.by_md5().get(file_md5(file))
        about: dict[str, Any] = {"file": file.name, "md5": file_md5(file)}
        if known:
            results.append(about | {"verdict": "known", "as": str(known)})
            continue
        rows, reasons, drift = examine(file, place, params, schema, against)
        share = len(drift["drifted"]) / drift["compared"] if drift.get("drift") else 0.0
        if share > limits.ingest.max_drifted:
            message = (
                f"at most {limits.ingest.max_drifted:.0%} (ingest.max_drifted in retrain.yaml)"
            )
            names, examples = ", ".join(drift["drifted"]), [f"{share:.0%} of the columns"]
            reasons.append(finding("drift", names, rows, rows, examples, message))
        about |= {"rows": rows, "drift": drift.get("findings", [])}
        about["verdict"] = "refused" if reasons else "joined"
        if reasons:
            about["reasons"] = [one._asdict() for one in reasons]
            about["as"] = str(batches.quarantine(file, about))
        else:
            about["as"] = str(batches.add(place, file))
        results.append(about)
    tracked = batches.track(place)
    result = Result(results, _renew(results, place, params), tracked)
    if _joined(results):
        write_json(REPORT, {"batches": results, "reference_renewed": result.reference_renewed})
    return result


def _tables(path: str) -> list[Path]:
    try:
        return tables.files(path)
    except Problem as problem:  # what it advises is for the data
        raise Problem(str(problem).split(";")[0]) from None


def _joined(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in results if one["verdict"] == "joined"]


def _renew(results: list[dict[str, Any]], place: batches.Place, params: Params) -> list[str]:
    """Columns of data/reference/profile.json made anew, for validate would refuse what joined."""
    drifted = {x["column"] for one in _joined(results) for x in one["drift"] if x["drift"]}
    content = read_json(REFERENCE) if drifted else {}
    columns = content.get("columns", {})
    watched = data_checks.watched(params.data, columns)
    limits = data_checks.drift_limits(params.validation, len(watched))
    renewed = []
    for name in sorted(drifted.intersection(watched)):
        values = to_pandas(tables.read(place.folder, [name]))[name]
        _, changes = column_drift.compare(name, columns[name], values, limits)
        if data_checks.drifted(changes, len(values)):
            columns[name] = profile.describe(values)
            renewed.append(name)
    if renewed:
        write_json(REFERENCE, content)
    return renewed


def show(result: Result) -> None:
    """Print what became of each batch, and what comes next where one has joined."""
    console = Console(width=None if Console().is_terminal else 120)

    def say(text: str, style: str = "") -> None:
        console.print(escape(text), highlight=False, soft_wrap=True, style=style)

    for one in result.batches:
        if one["verdict"] == "known":
            say(f"{one['file']}: nothing added; the same content is there as {one['as']}")
            continue
        say(f"{one['file']}: {one['rows']:,} rows {one['verdict']}, now {one['as']}")
        if one["verdict"] == "refused":
            findings.show([Finding(**reason) for reason in one["reasons"]])
        for change in one["drift"]:
            drifted = change["drift"]
            message = f"{change['column']}: {change['check']}: {change['message']}"
            say(f"  {'DRIFT' if drifted else 'note'}: {message}", "bold red" if drifted else "")
    if renewed := ", ".join(result.reference_renewed):
        say(
            f"{REFERENCE}: made anew for {renewed}, for `dvc repro validate` would "
            "refuse what has joined; look at it before you commit"
        )
    if _joined(result.batches):
        reference = [str(REFERENCE)] if result.reference_renewed else []
        added = ["data/raw", "params.yaml", *reference, str(REPORT)]
        say(
            f"next:\n  ml trigger\n  git add -A {shlex.join(added)}\n"
            "  git commit -m 'New data'" + ("\n  dvc push" if result.tracked else "")
        )


def main(files: list[str], as_json: bool = False) -> None:
    """`ml ingest FILE`: exit 0 all joined or known, 1 some refused, 2 bad use."""
    result = ingest(files)
    if as_json:
        print(json.dumps(result._asdict(), indent=2, ensure_ascii=False))
    else:
        show(result)
    refused = [one["file"] for one in result.batches if one["verdict"] == "refused"]
    if refused:
        raise Refused(
            f"{len(refused)} of {len(result.batches)} refused: {', '.join(refused)}; "
            f"see {batches.QUARANTINE}"
        )
