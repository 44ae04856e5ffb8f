"""A small network learns, is saved without pickle, and answers whatever it is asked."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline import config, features, model, prepared, strict, train
from pipeline.errors import Problem
from pipeline.model import Model
from pipeline.network import Network, cut

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
) -> Iterator[Model]:
    """A model of each task, trained in a folder of its own."""
    content = strict.read_yaml("params.yaml")
    content["data"] |= {"target": "y", "task": request.param, "protected": [], "drop": []}
    content["data"] |= dict.fromkeys(["id", "time", "label_time", "group"])
    content["prepare"]["split"] = "random"
    content["train"] |= {"epochs": 6, "threads": 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp(request.param))
        yield _fit(request.param, content)


def _fit(task: str, content: dict[str, Any]) -> Model:
    prepared.FOLDER.mkdir(parents=True)
    for seed, side in enumerate(prepared.SIDES):
        frame = table(seed)
        frame["y"] = ANSWERS[task](frame["y"])
        frame.to_parquet(prepared.path(side))
    return train.train(strict.check(config.Params, content, "params.yaml"))[0]


def test_it_learns_and_is_the_same_after_saving(fitted: Model) -> None:
    test = prepared.frame("test")
    guess = fitted.score(test)
    truth = features.answers(test["y"], fitted.spec)
    if fitted.spec["task"] == "regression":
        assert np.corrcoef(truth, guess)[0, 1] > 0.9
    else:
        said = guess > 0.5 if guess.ndim == 1 else guess.argmax(1)
        assert (said == truth).mean() > 0.8
    model.save(fitted, "model.safetensors")
    assert np.array_equal(model.load("model.safetensors").score(test), guess)


def test_narrow_pieces_are_not_blurred_by_bfloat16(fitted: Model) -> None:
    numbers = np.linspace(1, 1.01, 500, dtype=np.float32)[:, None]
    network = Network({**fitted.spec, "numbers": fitted.spec["numbers"][:1]}, [4], pieces=8)
    network.slope, network.offset = cut(numbers, 8)
    with torch.autocast("cpu", torch.bfloat16):
        passed = network.passed(torch.from_numpy(numbers))
    torch.testing.assert_close(passed.sum(1), torch.linspace(0, 8, 500), rtol=0, atol=0.01)


def test_it_answers_gaps_extremes_and_unseen_words(fitted: Model) -> None:
    odd = pd.DataFrame({"x": [np.nan, 1e300, -1e300], "gaps": [np.inf, 0, np.nan]})
    odd["word"] = ["unseen", None, "a"]
    assert np.isfinite(fitted.score(odd)).all()


def test_what_it_cannot_answer_is_named(fitted: Model) -> None:
    with pytest.raises(Problem, match="column 'word' is missing"):
        fitted.score(pd.DataFrame({"x": [1.0], "gaps": [1.0], "wrod": ["a"]}))


def test_only_a_model_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"\x80\x04\x95 a pickle, say")
    with pytest.raises(Problem, match="not a model of this pipeline"):
        model.load(path)
