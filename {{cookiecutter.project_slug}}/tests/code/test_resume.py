"""An interrupted training goes on where it was, and only that one."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from core.paths import CHECKPOINT, PREPARED
from core.yaml_io import check_yaml, read_yaml
from pipeline import checkpoint, dataset, train
from pipeline.network_model import NetworkModel
from pipeline.params import Params

PARAMS = read_yaml("params.yaml")


def params(**changes: Any) -> Params:
    content = {section: dict(values) for section, values in PARAMS.items()}
    content["data"] |= {"target": "y", "task": "binary", "protected": [], "drop": []}
    content["data"] |= dict.fromkeys(["id", "time", "label_time", "group"])
    content["prepare"]["split"] = "random"
    content["model"] |= {"hidden": [4], "members": 2}
    content["train"] |= {"epochs": 5, "batch_size": 32, "threads": 1, "device": "cpu", **changes}
    return check_yaml(Params, content, "params.yaml")


def write(seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    for side in ("train", "val"):
        frame = pd.DataFrame({"x": rng.normal(size=200), "w": rng.choice(["a", "b"], 200)})
        frame["y"] = (frame["x"] + rng.normal(size=200) > 0).astype(int)
        frame.assign(w=frame["w"].astype("category")).to_parquet(dataset.path(side))


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    PREPARED.mkdir(parents=True)
    write()


def fitted(**changes: Any) -> tuple[torch.Tensor, list[dict[str, float]]]:
    model, _, history = train.train(params(**changes))
    assert isinstance(model, NetworkModel)
    state = model.network.state_dict()
    return torch.cat([part.flatten().double() for part in state.values()]), history


def interrupted(monkeypatch: pytest.MonkeyPatch, after: int, **changes: Any) -> None:
    """Train, and stop once this epoch is on disk."""
    save = checkpoint.save

    def and_stop(network: Any, optimizer: Any, best: Any, about: Any) -> None:
        save(network, optimizer, best, about)
        if len(about["history"]) == after:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", and_stop)
        with pytest.raises(KeyboardInterrupt):
            fitted(**changes)


def epochs_run(said: str) -> str:
    return "".join(line for line in said.splitlines() if line.startswith("resuming"))


def test_it_comes_to_the_same_weights(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, history = fitted()
    CHECKPOINT.unlink()
    interrupted(monkeypatch, after=3)
    assert [path.name for path in CHECKPOINT.parent.iterdir()] == [CHECKPOINT.name]
    again, continued = fitted()
    assert epochs_run(capsys.readouterr().out) == f"resuming after epoch 3 ({CHECKPOINT})"
    assert torch.equal(again, whole)
    assert continued == history
    assert [row["epoch"] for row in history] == [1, 2, 3, 4, 5]


def test_the_best_weights_and_the_patience_are_resumed_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    knobs = {"lr": 0.3, "ema": 0.0, "patience": 3, "epochs": 40}
    whole, history = fitted(**knobs)
    best = int(np.argmin([row["val_loss"] for row in history])) + 1
    assert best + 3 == len(history) < 40
    CHECKPOINT.unlink()
    interrupted(monkeypatch, after=best + 1, **knobs)
    again, continued = fitted(**knobs)
    assert torch.equal(again, whole)
    assert continued == history


@pytest.mark.parametrize(
    ("changes", "goes_on"),
    [
        ({"threads": 2}, True),
        ({"seed": 1}, False),
        ({"lr": 0.01}, False),
        ({"resume": False}, False),
    ],
)
def test_another_training_starts_anew(
    changes: Any, goes_on: bool, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    interrupted(monkeypatch, after=2)
    fitted(**changes)
    assert bool(epochs_run(capsys.readouterr().out)) == goes_on


def test_other_rows_start_anew(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    interrupted(monkeypatch, after=2)
    write(1)
    fitted()
    assert not epochs_run(capsys.readouterr().out)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", None])
def test_a_checkpoint_that_cannot_be_read_is_none(content: bytes | None, capsys: Any) -> None:
    whole, _ = fitted()
    half = CHECKPOINT.read_bytes()[:-100]
    CHECKPOINT.write_bytes(half if content is None else content)
    again, _ = fitted()
    assert torch.equal(again, whole)
    assert not epochs_run(capsys.readouterr().out)
