"""What training learns from, what it keeps, and what reaches the model's file."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, r2_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from torch.nn import functional as F

from core.errors import Problem
from core.paths import PREPARED
from core.yaml_io import check_yaml, read_yaml
from pipeline import dataset, features, linear, train
from pipeline.features import Spec
from pipeline.linear import LinearModel, design
from pipeline.model import Model
from pipeline.network import Network
from pipeline.network_model import NetworkModel, calibrate
from pipeline.params import Params
from pipeline.training_loop import History, Rows, criterion

ROWS = 300
PARTS = {"id": "number", "time": "seen", "label_time": "known", "group": "shop", "drop": ["extra"]}
SHAPE = {"hidden": [8], "members": 1, "bins": 0}
SETTINGS = {"epochs": 3, "batch_size": 32, "threads": 1, "calibrate": False, "ema": 0.0}
SETTINGS |= {"class_weights": False, "device": "cpu"}


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


PARAMS = read_yaml("params.yaml")


def params(task: str = "binary", **changes: Any) -> Params:
    data = {**PARAMS["data"], "target": "y", "task": task, "protected": [], "drop": []}
    data |= dict.fromkeys(["id", "time", "label_time", "group"])
    content = {**PARAMS, "data": data, "prepare": {**PARAMS["prepare"], "split": "random"}}
    content["model"], content["train"] = PARAMS["model"] | SHAPE, PARAMS["train"] | SETTINGS
    for name, value in changes.items():
        section = next(s for s in ("data", "model", "train") if name in content[s])
        content[section] = content[section] | {name: value}
    return check_yaml(Params, content, "params.yaml")


def table(seed: int, task: str = "binary", rows: int = ROWS) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x, word = rng.normal(5, 3, rows), rng.choice(["a", "b", "c"], rows)
    signal = (x - 5) / 3 + (word == "a") + 0.5 * rng.normal(size=rows)
    y: Any = 100 + 20 * signal
    if task != "regression":
        y = (signal > 0).astype(int) if task == "binary" else np.digitize(signal, [-0.5, 0.8])
    return pd.DataFrame({"x": x, "word": pd.Categorical(word), "y": y})


def fit(
    settings: Params, rows: pd.DataFrame, val: pd.DataFrame
) -> tuple[Model, LinearModel, History]:
    PREPARED.mkdir(parents=True, exist_ok=True)
    for side, frame in (("train", rows), ("val", val)):
        frame.to_parquet(dataset.path(side))
    Path("models/checkpoint.safetensors").unlink(missing_ok=True)
    return train.train(settings)


def weights(model: Model) -> torch.Tensor:
    assert isinstance(model, NetworkModel)
    return torch.cat([part.flatten() for part in model.network.parameters()])


def spec(**changes: Any) -> Spec:
    plain: Any = {"target": "y", "task": "binary", "classes": [0, 1], "center": 0.0, "scale": 1.0}
    plain["numbers"] = [
        {"name": "full", "mean": 2.0, "std": 2.0, "missing": False},
        {"name": "gaps", "mean": 0.0, "std": 1.0, "missing": True},
    ]
    return {**plain, "categories": [{"name": "word", "levels": ["a", "b"]}], **changes}


def rows_of(answers: list[int]) -> Rows:
    return Rows(torch.zeros(len(answers), 0), torch.zeros(len(answers), 0), torch.tensor(answers))


def test_statistics_and_levels_are_of_the_training_rows_alone() -> None:
    rows, val = table(0), table(1)
    val["x"] += 1000
    val["word"] = pd.Categorical(["d"] * ROWS)
    model, baseline, _ = fit(params(), rows, val)
    for one in (model, baseline):
        [number], [category] = one.spec["numbers"], one.spec["categories"]  # type: ignore[attr-defined]
        assert number["mean"] == pytest.approx(rows["x"].mean())
        assert number["std"] == pytest.approx(rows["x"].std(ddof=0))
        assert category["levels"] == ["a", "b", "c"]


def test_a_gap_is_an_input_of_its_own_where_training_rows_have_gaps() -> None:
    frame = pd.DataFrame({"full": [0.0, 2, 4], "gaps": [1.0, np.nan, 3], "y": [0, 1, 0]})
    learnt = features.learn(frame, params().data)
    assert [one["missing"] for one in learnt["numbers"]] == [False, True]
    odd = pd.DataFrame({"full": [4.0, np.nan], "gaps": [np.nan, 0.5], "word": ["b", None]})
    encoded = features.encode(odd, spec())
    #                          full gaps  no gaps  unseen missing a b
    assert design(encoded, spec()).tolist() == [[1, 0, 1, 0, 0, 0, 1], [0, 0.5, 0, 0, 1, 0, 0]]
    network = Network(spec(), [])
    with torch.no_grad():
        network.linear.weight[0, 2] = 1.0  # of the gap
        logits = network(*map(torch.from_numpy, encoded))
    assert logits.flatten().tolist() == [1.0, 0.0]


def test_numbers_are_clipped_and_rare_levels_are_unseen() -> None:
    wide = pd.DataFrame({"full": [1e6, -1e6], "gaps": [0, 0], "word": ["zebra", "a"]})
    encoded = features.encode(wide, spec())
    assert encoded.numbers[:, 0].tolist() == [8.0, -8.0]
    assert encoded.codes[:, 0].tolist() == [features.UNSEEN, features.FIRST]
    words = pd.Categorical(["often"] * 5 + ["rare"] * 4)
    learnt = features.learn(pd.DataFrame({"word": words, "y": [0, 1] * 4 + [0]}), params().data)
    assert learnt["categories"][0]["levels"] == ["often"]


def test_columns_with_another_part_are_no_inputs() -> None:
    rows, val = table(0), table(1)
    for frame in (rows, val):
        days = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(ROWS), "D")
        frame["seen"], frame["known"] = days, days + pd.Timedelta(days=9)
        frame["number"] = frame["shop"] = frame["extra"] = np.arange(ROWS) % 7
    model, baseline, _ = fit(params(**PARTS), rows, val)
    for one in (model, baseline):
        assert sorted(column.name for column in one.inputs) == ["word", "x"]


def test_the_best_weights_are_kept_and_not_the_last() -> None:
    rows, val = table(0, rows=64), table(1)
    model, _, history = fit(params(lr=0.1, epochs=30, patience=30, hidden=[32]), rows, val)
    losses = [row["val_loss"] for row in history]
    assert losses[-1] > min(losses) + 1e-3, "it must overfit, or best and last are the same"
    scores = torch.from_numpy(model.score(val))
    loss = F.binary_cross_entropy(scores, torch.tensor(val["y"].tolist()).double())
    assert float(loss) == pytest.approx(min(losses), abs=1e-5)


def test_it_stops_when_patience_is_at_an_end() -> None:
    rows, val = table(0, rows=64), table(1)
    _, _, history = fit(params(lr=0.1, epochs=60, patience=4, hidden=[32]), rows, val)
    losses = [row["val_loss"] for row in history]
    assert len(history) == int(np.argmin(losses)) + 1 + 4 < 60


@pytest.mark.parametrize(
    ("hidden", "batch"), [([8], ROWS), ([], 32)], ids=["first weights", "order of rows"]
)
def test_the_seed_decides_the_first_weights_and_the_order(hidden: list[int], batch: int) -> None:
    rows, val = table(0), table(1)

    def fitted(seed: int, before: int) -> torch.Tensor:
        torch.manual_seed(before)
        knobs = params(seed=seed, hidden=hidden, batch_size=batch, epochs=1)
        return weights(fit(knobs, rows, val)[0])

    one = fitted(1, before=7)
    assert torch.equal(one, fitted(1, before=8)), "nothing else decides"
    assert not torch.allclose(one, fitted(2, before=7), atol=1e-4)


def test_class_weights_weigh_the_rare_class_up() -> None:
    answers = torch.tensor([0.0] * 6 + [1.0] * 2)
    weighted, plain = criterion(spec(), answers), criterion(spec(), None)
    logit = torch.tensor([[[0.3]]])
    for label, weight in ((0.0, 8 / 12), (1.0, 8 / 4)):  # all rows / (classes * rows of the class)
        one = torch.tensor([label])
        assert float(weighted(logit, one) / plain(logit, one)) == pytest.approx(weight)
    three = spec(task="multiclass", classes=["a", "b", "c"])
    truth = torch.tensor([0, 0, 0, 1, 1, 2])
    logits = torch.tensor([[[1.0, 0.0, 0.0]], [[0.0, 0.0, 3.0]]])
    losses = F.cross_entropy(logits[:, 0], torch.tensor([0, 2]), reduction="none")
    expected = (losses * torch.tensor([6 / 9, 6 / 3])).sum() / (6 / 9 + 6 / 3)
    found = criterion(three, truth)(logits, torch.tensor([0, 2]))
    assert float(found) == pytest.approx(float(expected))


def test_class_weights_are_used_when_asked_for() -> None:
    rows, val = table(0), table(1)
    rows = rows.drop(rows.index[rows["y"] == 1][20:])  # few of the positive class
    plain, weighted = (
        fit(params(class_weights=on, epochs=10), rows, val)[0].score(val).mean()
        for on in (False, True)
    )
    assert weighted > plain + 0.01


def test_the_temperature_is_found() -> None:
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(20_000, 1, generator=rng) * 2
    answers = (torch.rand(20_000, generator=rng) < logits[:, 0].sigmoid()).float()
    val = Rows(logits, logits, answers)
    assert calibrate(3 * logits, val, spec()) == pytest.approx(3, rel=0.1)
    assert calibrate(logits / 2, val, spec()) == pytest.approx(0.5, rel=0.1)
    assert calibrate(logits, val, spec()) == pytest.approx(1, rel=0.05)


def test_the_temperature_is_fitted_on_the_validation_rows() -> None:
    rows, val = table(0), table(1)
    val["y"] = np.where(np.arange(ROWS) % 10 < 3, 1 - val["y"], val["y"])  # three in ten wrong
    cold, warm = (
        fit(params(calibrate=on, epochs=1, lr=0.1, batch_size=8), rows, val)[0].score(val)
        for on in (False, True)
    )
    ratio = np.log(cold / (1 - cold)) / np.log(warm / (1 - warm))
    assert ratio.std() < 1e-3, "one temperature for all"
    assert ratio.mean() > 1.1, "the validation rows ask for less certainty"


def test_numbers_are_learnt_standardised_and_answered_in_their_unit() -> None:
    scaled = spec(task="regression", classes=[], center=100.0, scale=20.0)
    assert features.link(np.array([[0.0], [1.5]]), scaled).tolist() == [100.0, 130.0]
    rows, val = table(0, "regression"), table(1, "regression")
    model, baseline, history = fit(params("regression", epochs=30, lr=0.02), rows, val)
    for one in (model, baseline):
        error = one.score(val) - val["y"]
        assert np.sqrt((error**2).mean()) < 15 < val["y"].std()
    assert max(row["val_r2"] for row in history) > 0.7


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_linear_baseline_is_scikit_learns(task: str) -> None:
    rows, val = table(0, task), table(1, task)
    ours = LinearModel.fit(rows, params(task).data).score(val)
    columns = make_column_transformer((StandardScaler(), ["x"]), (OneHotEncoder(), ["word"]))
    center, scale = (rows["y"].mean(), rows["y"].std(ddof=0)) if task == "regression" else (0, 1)
    kind = Ridge() if task == "regression" else LogisticRegression(max_iter=300)
    theirs = make_pipeline(columns, kind).fit(rows[["x", "word"]], (rows["y"] - center) / scale)
    if task == "regression":
        expected = theirs.predict(val[["x", "word"]]) * scale + center
    else:
        expected = theirs.predict_proba(val[["x", "word"]])
        expected = expected[:, 1] if task == "binary" else expected
    np.testing.assert_allclose(ours, expected, rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize("seen", [["b", "d"], ["a", "b", "d"]])
def test_a_class_that_the_linear_rows_lack_is_never_answered(
    seen: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear, "ROWS", 100)  # every third row of 300
    rng = np.random.default_rng(0)
    y = rng.choice(seen, 300)
    y[1::3] = "c"
    if "a" not in seen:
        y[2::3] = "a"
    rows = pd.DataFrame({"x": rng.normal(size=300), "y": y})
    rows["x"] += (rows["y"] == "d") * 2
    model = LinearModel.fit(rows, params("multiclass").data)
    assert model.classes == ["a", "b", "c", "d"]
    scores, some = model.score(rows), rows.iloc[::3]
    lacking = [name not in seen for name in model.classes]
    assert scores[:, lacking].max() < 1e-9
    x = (some[["x"]] - rows["x"].mean()) / rows["x"].std(ddof=0)
    theirs = LogisticRegression(max_iter=300).fit(x, some["y"])
    expected = theirs.predict_proba((rows[["x"]] - rows["x"].mean()) / rows["x"].std(ddof=0))
    kept = [name in seen for name in model.classes]
    np.testing.assert_allclose(scores[:, kept], expected, atol=2e-3)


def test_a_linear_model_scores_long_tables_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = table(0)
    model = LinearModel.fit(rows, params().data)
    whole = model.score(rows)
    monkeypatch.setattr(linear, "BLOCK", 128)
    np.testing.assert_allclose(model.score(rows), whole, rtol=1e-6)
    assert model.score(rows[:0]).shape == (0,)


def test_the_history_tells_the_losses_and_the_headline_of_each_epoch() -> None:
    rows, val = table(0), table(1)
    model, _, history = fit(params(epochs=1, lr=1e-9, batch_size=70), rows, val)
    [row] = history
    assert row["epoch"] == 1
    scores = model.score(rows)  # hardly a step: what it was in every batch
    loss = log_loss(rows["y"], scores)
    assert row["train_loss"] == pytest.approx(loss, rel=1e-4)
    assert row["val_loss"] == pytest.approx(log_loss(val["y"], model.score(val)), rel=1e-4)
    assert row["val_roc_auc"] == pytest.approx(roc_auc_score(val["y"], model.score(val)))
    rows, val = table(0, "regression"), table(1, "regression")
    model, _, [row] = fit(params("regression", epochs=1), rows, val)
    guess = model.score(val)
    assert row["val_r2"] == pytest.approx(r2_score(val["y"], guess), abs=1e-5)
    scale = rows["y"].std(ddof=0)
    assert row["val_loss"] == pytest.approx(((val["y"] - guess) ** 2).mean() / scale**2, rel=1e-4)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_loss_that_is_not_finite_stops_the_training() -> None:
    rows = table(0, "regression")
    rows.loc[0, "y"] = np.inf
    with pytest.raises(Problem, match="the loss is nan in epoch 1; a smaller"):
        fit(params("regression"), rows, table(1, "regression"))


def test_half_precision_learns_as_well() -> None:
    rows, val = table(0), table(1)
    knobs = {"epochs": 5, "lr": 0.02}
    whole = fit(params(**knobs, precision="float32"), rows, val)[0].score(val)
    half = fit(params(**knobs, precision="bfloat16"), rows, val)[0].score(val)
    assert not np.array_equal(whole, half)
    np.testing.assert_allclose(whole, half, atol=0.05)
    assert np.array_equal(fit(params(**knobs, precision="auto"), rows, val)[0].score(val), whole)


def test_members_learn_as_one_would_each_in_its_way() -> None:
    out, truth = torch.tensor([[[0.3], [-1.0]], [[2.0], [0.0]]]), torch.tensor([1.0, 0.0])
    each = F.binary_cross_entropy_with_logits(out[..., 0], truth[:, None].expand(2, 2))
    assert float(criterion(spec(), None)(out, truth)) == pytest.approx(float(each))
    number = criterion(spec(task="regression"), None)(out, truth)
    assert float(number) == pytest.approx(((0.7**2) + 4 + 4 + 0) / 4)
