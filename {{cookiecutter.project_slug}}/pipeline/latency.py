"""What a model costs to run: time, bytes, memory.

A busy machine slows a measurement and never speeds it up: the best of several counts.
"""

import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import torch
from safetensors import safe_open

from pipeline.model import Model

ROUNDS = 5  # measurements, of which the best counts
SINGLE, BATCHES, BATCH = 60, 6, 1000  # calls per round: one row, a batch; rows of a batch
PERCENTILES = (50, 95, 99)


def cost(model: Model, test: pd.DataFrame, path: Path) -> dict[str, Any]:
    """Latency in milliseconds, size in bytes, parameters, peak memory of this process in MB.

    `load_average` is of the last minute: beyond the number of cores, latencies tell little.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as a server with many workers runs it
    rows = [test.iloc[[i % len(test)]] for i in range(SINGLE)]
    batch = test.iloc[np.arange(BATCH) % len(test)].reset_index(drop=True)
    costs = {
        "latency_ms": {
            "single_row": percentiles(model, rows),
            f"batch_of_{BATCH}": percentiles(model, [batch] * BATCHES),
        },
        "load_average": round(psutil.getloadavg()[0], 2),
        "model_bytes": path.stat().st_size,
        "parameters": _parameters(path),
        "peak_memory_mb": round(peak_memory() / 2**20),
    }
    torch.set_num_threads(threads)
    return costs


def percentiles(model: Model, calls: list[pd.DataFrame]) -> dict[str, float]:
    """Milliseconds of a call, the best of `ROUNDS` times all calls."""
    for frame in calls[:3]:
        model.score(frame)
    rounds = []
    for _ in range(ROUNDS):
        taken = []
        for frame in calls:
            start = time.perf_counter()
            model.score(frame)
            taken.append(1000 * (time.perf_counter() - start))
        rounds.append(np.percentile(taken, PERCENTILES))
    best = np.min(rounds, axis=0)
    return {f"p{p}": round(float(ms), 3) for p, ms in zip(PERCENTILES, best, strict=True)}


def peak_memory() -> int:
    """The most bytes that this process has held."""
    memory = psutil.Process().memory_info()
    if hasattr(memory, "peak_wset"):  # Windows, which has no module resource
        return int(memory.peak_wset)
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024  # macOS counts bytes, Linux kilobytes


def _parameters(path: Path) -> int:
    """How many numbers the model's file holds."""
    with safe_open(path, "numpy") as file:
        return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
