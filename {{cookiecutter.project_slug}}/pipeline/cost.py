"""What a model costs to run: time, bytes, memory. Clocks never say the same twice."""

import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from pipeline.model import Model

SINGLE, BATCHES, BATCH = 200, 20, 1000  # calls with one row, calls with a batch, rows of a batch


def cost(model: Model, test: pd.DataFrame, path: Path) -> dict[str, Any]:
    """Latency in milliseconds, size in bytes, parameters, peak memory of this process in MB."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as a server with many workers runs it
    rows = [test.iloc[[i % len(test)]] for i in range(SINGLE)]
    batch = test.iloc[np.arange(BATCH) % len(test)].reset_index(drop=True)
    found = {
        "latency_ms": {
            "single_row": _percentiles(model, rows),
            f"batch_of_{BATCH}": _percentiles(model, [batch] * BATCHES),
        },
        "model_bytes": path.stat().st_size,
        "parameters": model.parameters(),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    torch.set_num_threads(threads)
    return found


def _percentiles(model: Model, calls: list[pd.DataFrame]) -> dict[str, float]:
    for frame in calls[:3]:
        model.score(frame)
    taken = []
    for frame in calls:
        start = time.perf_counter()
        model.score(frame)
        taken.append(1000 * (time.perf_counter() - start))
    return {f"p{p}": round(float(np.percentile(taken, p)), 3) for p in (50, 95, 99)}
