"""Evaluate a table of test rows with 28 groups, beside scoring them."""

import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from loans import LEVELS
from measure import Row, by_cpu, compare
from workspace import ROWS, SIZE, frame, prepared_loans, root, settings

from core.paths import BASELINE, MODEL
from pipeline import dataset, evaluate, train
from pipeline.model import load_model

PROTECTED = [*LEVELS, "has_guarantor"]  # 2 + 4 + 5 + 4 + 5 + 6 groups, and 2


@cache
def folder() -> Path:
    """A model of the size that `auto` gives to a million rows, and as many test rows."""
    learnt, table, here = prepared_loans(ROWS // 20), frame(prepared_loans(ROWS)), Path.cwd()
    os.chdir(learnt)
    fitted, baseline, _ = train.train(settings(members=1, epochs=1, batch_size=2048, resume=False))
    os.chdir(here)
    judged = root() / "judged"
    fitted.save(judged / MODEL)
    baseline.save(judged / BASELINE)
    (judged / dataset.path("test")).parent.mkdir(parents=True)
    table.to_parquet(judged / dataset.path("test"), index=False)
    return judged


def whole(place: Path) -> Callable[[], Any]:
    os.chdir(place)
    torch.set_num_threads(1)
    evaluate._draw = lambda *_: None  # without pictures
    return lambda: evaluate.evaluate(settings(protected=PROTECTED)) and None


def scoring(place: Path) -> Callable[[], Any]:
    fitted, table = load_model(place / MODEL), pd.read_parquet(place / dataset.path("test"))
    torch.set_num_threads(1)
    return lambda: fitted.score(table) is None


def rows() -> Iterator[Row]:
    ours, theirs = compare(3, (whole, folder()), (scoring, folder()))
    yield by_cpu(f"evaluate {SIZE}, 28 slices", "scoring them", ours, theirs, 3)
