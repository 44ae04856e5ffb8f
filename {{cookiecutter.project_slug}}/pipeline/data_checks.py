"""What a schema cannot say of data: copies, leaks, classes, drift."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from core.errors import nearest
from core.validation import column_drift, profile
from core.validation.findings import Finding, finding
from pipeline import dataset
from pipeline.params import Data, Params, Validate

ROWS = 200_000  # of train that leakage is measured on


def named_columns(data: Data, names: list[str]) -> list[Finding]:
    """Columns that params.yaml names and the data lacks."""
    wanted = {"protected": data.protected, "drop": data.drop}
    wanted["label_time"] = [data.label_time] if data.label_time else []
    return [
        finding(
            "missing_column", column, 0, 1, message=f"data.{part} names it{nearest(column, names)}"
        )
        for part, columns in wanted.items()
        for column in columns
        if column not in names
    ]


def size(rows: int, params: Params) -> list[Finding]:
    """Too few rows; with prepare.sample, so many fewer are enough."""
    least = int(params.validation.min_rows * params.prepare.sample)
    message = f"want {least:,} or more (validate.min_rows)"
    return [finding("too_few_rows", "", rows, rows, message=message)] if rows < least else []


def classes(target: pd.Series, limits: Validate, sample: float) -> list[Finding]:
    """Labels that are missing, a single class, a tiny or an overwhelming one."""
    name, rows = str(target.name), len(target)
    counts = target.value_counts()
    counts = counts[counts > 0]
    if len(counts) < 2:
        return [finding("one_class_only", name, rows, rows, counts.index, "nothing can be learnt")]
    findings = []
    least = int(limits.min_class_rows * sample)
    if counts.iloc[-1] < least:
        rare = counts[counts < least]
        message = f"want {least} or more (validate.min_class_rows)"
        findings.append(finding("rare_class", name, rare.sum(), rows, rare.index, message))
    if counts.iloc[0] / rows > limits.max_class_share:
        message = f"at most {limits.max_class_share:.1%} (validate.max_class_share)"
        findings.append(
            finding("dominant_class", name, counts.iloc[0], rows, [counts.index[0]], message)
        )
    return findings


def same_value(values: pd.Series, limits: Validate) -> list[Finding]:
    """A feature that (nearly) always says the same."""
    counts = values.value_counts(dropna=False)
    if counts.iloc[0] / len(values) <= limits.max_same_value:
        return []
    message = (
        f"at most {limits.max_same_value:.1%} (validate.max_same_value); data.drop leaves it out"
    )
    return [
        finding(
            "nearly_constant",
            str(values.name),
            counts.iloc[0],
            len(values),
            [counts.index[0]],
            message,
        )
    ]


def fingerprint(values: pd.Series) -> np.ndarray:
    """A uint64 per row; equal values have equal ones."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        levels = pd.util.hash_array(values.cat.categories.to_numpy().astype(object))
        return np.append(levels, np.uint64(0))[values.cat.codes.to_numpy()]
    array = values.to_numpy() if values.dtype.kind in "iufbM" else values.to_numpy(object)
    return pd.util.hash_array(array, categorize=False)


def copies(rows: np.ndarray, sizes: list[int], limits: Validate) -> list[Finding]:
    """Rows that repeat another, and test rows that stand in train.

    `rows` holds a fingerprint per row, id and time aside, of train, val and
    test one after the other; `sizes` are their row counts.
    """
    findings = []
    total, test = len(rows), rows[sizes[0] + sizes[1] :]
    repeated = total - len(np.unique(rows))
    if repeated / total > limits.max_duplicates:
        message = f"at most {limits.max_duplicates:.1%} (validate.max_duplicates)"
        findings.append(finding("duplicate_rows", "", repeated, total, message=message))
    train = np.sort(rows[: sizes[0]])
    at = np.searchsorted(train, test).clip(max=len(train) - 1)
    known = int((train[at] == test).sum())
    if known / len(test) > limits.max_overlap:
        message = f"at most {limits.max_overlap:.1%} of test (validate.max_overlap)"
        findings.append(finding("test_rows_in_train", "", known, len(test), message=message))
    return findings


def leakage(values: pd.Series, target: pd.Series, task: str) -> float:
    """How well one column alone predicts the target: AUC (best class against the rest), or R².

    Both series are of one length; missing values count as a value of their own.
    """
    step = max(1, len(values) // ROWS)
    values, target = values.iloc[::step], target.iloc[::step]
    kind = profile.kind_of(values)
    if kind == "text" or target.isna().any():
        return 0.0
    if kind == "category":
        codes = values.astype("category").cat.codes.to_numpy()
    else:
        numbers = values.astype("int64") if kind == "date" else values
        codes = np.nan_to_num(numbers.to_numpy(np.float64, na_value=-np.inf))
    if task == "regression":
        if kind != "category":
            codes = np.searchsorted(np.unique(np.quantile(codes, np.linspace(0, 1, 51))), codes)
        return _explained(codes, target.to_numpy(np.float64))
    labels, names = pd.factorize(target)
    ones = [(labels == code).astype(float) for code in range(len(names) if len(names) > 2 else 1)]
    return max(_auc(_means(codes, one) if kind == "category" else codes, one) for one in ones)


def _means(codes: np.ndarray, values: np.ndarray) -> np.ndarray:
    sums = pd.Series(values).groupby(codes).transform("mean")
    return np.asarray(sums)


def _explained(codes: np.ndarray, values: np.ndarray) -> float:
    spread = values.var()
    return float(_means(codes, values).var() / spread) if spread else 0.0


def _auc(scores: np.ndarray, one: np.ndarray) -> float:
    """Area under the ROC curve by ranks, whichever direction is better."""
    positive, negative = np.sort(scores[one == 1]), np.sort(scores[one == 0])
    if not len(positive) or not len(negative):
        return 0.0
    below = sum(np.searchsorted(negative, positive, side).sum() for side in ("left", "right"))
    area = float(below / (2.0 * len(positive) * len(negative)))
    return max(area, 1 - area)


def leaks(name: str, score: float, rows: int, limits: Validate) -> list[Finding]:
    """A column that gives the target away."""
    if score <= limits.max_leakage:
        return []
    message = (
        f"predicts the target alone with {score:.3f}; at most {limits.max_leakage} "
        "(validate.max_leakage); data.drop leaves it out"
    )
    return [finding("target_leak", name, rows, rows, message=message)]


def late(time: pd.Series, label_time: pd.Series) -> list[Finding]:
    """Rows dated after the day on which their label was known."""
    kinds = {profile.kind_of(time), profile.kind_of(label_time)}
    if kinds not in ({"date"}, {"number"}):
        message = f"{time.name} and {label_time.name} must both be dates to be compared"
        return [finding("not_a_date", str(label_time.name), len(time), len(time), message=message)]
    after = (time > label_time).to_numpy()
    examples = (f"{t} > {b}" for t, b in zip(time[after][:3], label_time[after][:3], strict=True))
    message = f"{time.name} must not be after {label_time.name}"
    return (
        [finding("dated_after_label", str(time.name), after.sum(), len(time), examples, message)]
        if after.any()
        else []
    )


def watched(data: Data, names: Iterable[str]) -> list[str]:
    """The columns whose drift matters: the features and the target."""
    aside = data.aside() - {data.target}
    return [name for name in names if name not in aside]


def drift_limits(limits: Validate, columns: int) -> column_drift.Limits:
    """The limits of one of so many columns, which may raise few false alarms together."""
    chance = column_drift.chance(limits.false_alarms, columns)
    return column_drift.Limits(limits.max_psi, limits.max_missing, chance)


def drifted(findings: list[column_drift.Finding], rows: int) -> list[Finding]:
    """What of a column's findings is drift from the reference profile."""
    return [
        finding("drift", one.column, rows, rows, message=f"{one.check}: {one.message}")
        for one in findings
        if one.drift
    ]


def sizes() -> list[int]:
    """Row counts of train, val and test."""
    return [dataset.rows(side) for side in dataset.SIDES]
