"""A small network learns, is saved without pickle, and answers whatever it is asked."""

import json
import random
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from core.errors import Problem
from core.paths import BASELINE, PREPARED
from core.yaml_io import check_yaml, read_yaml
from pipeline import dataset, train
from pipeline.features import encode_target
from pipeline.model import load_model
from pipeline.network import Network, cut
from pipeline.network_model import NetworkModel
from pipeline.params import Params

ROWS = 600


def table(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x, word = rng.normal(size=ROWS), rng.choice(["a", "b", "c"], ROWS)
    y = x + (word == "a") + 0.3 * rng.normal(size=ROWS)
    gaps = np.where(rng.random(ROWS) < 0.1, np.nan, rng.normal(size=ROWS))
    return pd.DataFrame({"x": x, "gaps": gaps, "word": pd.Categorical(word), "y": y})


ANSWERS = {
    "binary": lambda y: (y > 0).astype(int),
    "multiclass": lambda y: pd.cut(y, [-9, -0.5, 0.5, 9], labels=["low", "mid", "high"]).astype(
        str
    ),
    "regression": lambda y: 100 + 5 * y,
}


@pytest.fixture(scope="module", params=list(ANSWERS))
def fitted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NetworkModel]:
    """A model of each task, trained in a folder of its own."""
    content = read_yaml("params.yaml")
    content["data"] |= {"target": "y", "task": request.param, "protected": [], "drop": []}
    content["data"] |= dict.fromkeys(["id", "time", "label_time", "group"])
    content["prepare"]["split"] = "random"
    content["train"] |= {"epochs": 6, "threads": 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp(request.param))
        yield _fit(request.param, content)


def _fit(task: str, content: dict[str, Any]) -> NetworkModel:
    PREPARED.mkdir(parents=True)
    for seed, side in enumerate(dataset.SIDES):
        frame = table(seed)
        frame["y"] = ANSWERS[task](frame["y"])
        frame.to_parquet(dataset.path(side))
    model, linear, _ = train.train(check_yaml(Params, content, "params.yaml"))
    linear.save(BASELINE)
    assert isinstance(model, NetworkModel)
    return model


def test_it_learns_and_is_the_same_after_saving(fitted: NetworkModel) -> None:
    test = dataset.frame("test")
    guess = fitted.score(test)
    truth = encode_target(test["y"], fitted.task, fitted.classes)
    if fitted.task == "regression":
        assert np.corrcoef(truth, guess)[0, 1] > 0.9
    else:
        said = guess > 0.5 if guess.ndim == 1 else guess.argmax(1)
        assert (said == truth).mean() > 0.8
    fitted.save("model.safetensors")
    assert np.array_equal(load_model("model.safetensors").score(test), guess)


def test_narrow_pieces_are_not_blurred_by_bfloat16(fitted: NetworkModel) -> None:
    numbers = np.linspace(1, 1.01, 500, dtype=np.float32)[:, None]
    network = Network({**fitted.spec, "numbers": fitted.spec["numbers"][:1]}, [4], pieces=8)
    network.slope, network.offset = cut(numbers, 8)
    with torch.autocast("cpu", torch.bfloat16):
        passed = network.passed(torch.from_numpy(numbers))
    torch.testing.assert_close(passed.sum(1), torch.linspace(0, 8, 500), rtol=0, atol=0.01)


def test_it_answers_gaps_extremes_and_unseen_words(fitted: NetworkModel) -> None:
    odd = pd.DataFrame({"x": [np.nan, 1e300, -1e300], "gaps": [np.inf, 0, np.nan]})
    odd["word"] = ["unseen", None, "a"]
    assert np.isfinite(fitted.score(odd)).all()


def test_what_it_cannot_answer_is_named(fitted: NetworkModel) -> None:
    with pytest.raises(Problem, match="column 'word' is missing"):
        fitted.score(pd.DataFrame({"x": [1.0], "gaps": [1.0], "wrod": ["a"]}))


def test_only_a_model_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"\x80\x04\x95 a pickle, say")
    with pytest.raises(Problem, match="not a model of this pipeline"):
        load_model(path)


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"none.safetensors: no such file; `dvc repro` trains it"):
        load_model(tmp_path / "none.safetensors")


@pytest.mark.parametrize("kind", ["network", "linear"])
def test_the_same_model_is_the_same_bytes_and_readable_by_all(
    fitted: NetworkModel, kind: str, tmp_path: Path
) -> None:
    model: Any = fitted if kind == "network" else load_model(BASELINE)
    model.save(tmp_path / "one")
    model.spec = dict(reversed(model.spec.items()))
    model.save(tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o644
    again: Any = load_model(tmp_path / "two")
    assert (again.kind, again.target, again.task) == (kind, "y", fitted.task)
    assert [one.name for one in again.inputs] == ["x", "gaps", "word"]
    again.save(tmp_path / "three")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "three").read_bytes()


@pytest.mark.parametrize(
    ("kind", "name", "change", "message"),
    [
        (
            "network",
            "linear.bias",
            lambda t: t[None],
            r"linear.bias is not torch.float32 of \(\d,\)",
        ),
        ("network", "offset", lambda t: t.astype("f8"), "offset is not torch.float32 of"),
        ("network", "lacking", lambda t: t + 1, "lacking does not fit the columns"),
        ("linear", "weights", lambda t: t[1:], r"weights of \(\d, \d\), want \(\d, \d\)"),
        (
            "linear",
            "biases",
            lambda t: t.astype("i8"),
            r"weights are float\d\d and int64, not numbers",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(
    fitted: NetworkModel, kind: str, name: str, change: Any, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    (fitted if kind == "network" else load_model(BASELINE)).save(path)
    with safe_open(path, "numpy") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    save_file(tensors | {name: change(tensors[name])}, path, metadata)
    with pytest.raises(Problem, match=f"not a model of this pipeline: {message}"):
        load_model(path)


HOSTILE: list[Any] = [None, -1, 0, 10**7, 10**30, 0.5, 1e308, float("nan"), "x", "", [], [[]], {}]


def _leaves(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key in content if isinstance(content, dict) else range(len(content)):
        yield (*path, key)
        if isinstance(content[key], dict | list):
            yield from _leaves(content[key], (*path, key))


def _mutate(rng: random.Random, about: Any, tensors: dict[str, np.ndarray]) -> None:
    """Put something hostile in one place of a model's file."""
    if rng.random() < 0.7:
        *path, last = rng.choice(list(_leaves(about)))
        for key in path:
            about = about[key]
        if rng.random() < 0.2:
            del about[last]
        else:
            about[last] = rng.choice(HOSTILE)
        return
    name = rng.choice(list(tensors))
    tensor = tensors[name]
    tensors[name] = rng.choice(
        [
            tensor.astype(rng.choice(["float64", "int64", "int8", "float16", "bool"])),
            tensor[None],
            tensor.ravel()[:-1],
            np.full_like(tensor, rng.choice([-7, 10**6])),
            *([np.full_like(tensor, np.nan)] if tensor.dtype.kind == "f" else []),
        ]
    )
    if rng.random() < 0.2:
        del tensors[name]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["network", "linear"])
def test_a_mutated_file_is_refused_or_scores(
    fitted: NetworkModel, kind: str, tmp_path: Path
) -> None:
    rng = random.Random(kind)
    model = fitted if kind == "network" else load_model(BASELINE)
    whole, path = tmp_path / "whole", tmp_path / "model.safetensors"
    model.save(whole)
    with safe_open(whole, "numpy") as file:
        metadata = file.metadata()["model"]
    refused = 0
    for _ in range(50):  # of three tasks and two kinds: 300
        about, tensors = json.loads(metadata), load_file(whole)
        if rng.random() < 0.15:
            content = bytearray(whole.read_bytes())
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
            path.write_bytes(content[: rng.choice([len(content), rng.randrange(len(content))])])
        else:
            _mutate(rng, about, tensors)
            save_file(tensors, path, {"model": json.dumps(about)})
        try:
            loaded = load_model(path)
        except Problem:
            refused += 1
            continue
        columns = {one.name: [0.5, None] for one in loaded.inputs}
        scores = loaded.score(pd.DataFrame(columns, dtype=object))
        outputs = (2, len(loaded.classes)) if loaded.task == "multiclass" else (2,)
        assert scores.shape == outputs
    assert 20 < refused < 50


def test_a_layer_that_no_file_holds_is_refused_at_once(
    fitted: NetworkModel, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    shape = {**fitted.shape, "hidden": [10_000_000]}
    NetworkModel(fitted.spec, shape, fitted.network).save(path)
    before = resource.getrusage(resource.RUSAGE_SELF)
    with pytest.raises(Problem, match="not a model of this pipeline"):
        load_model(path)
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert after.ru_utime - before.ru_utime < 2
    assert after.ru_maxrss - before.ru_maxrss < 200_000
