"""What params.yaml may say: every knob with its type and its range."""

from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from core.paths import PARAMS, RAW
from core.yaml_io import Count, Name, Share, Strict, check_yaml, read_yaml


def _below_raw(path: str) -> str:
    parts = PurePosixPath(path)
    if ".." in parts.parts or not parts.is_relative_to(RAW.as_posix()):
        raise ValueError(
            f"found {path!r}; must be below {RAW}, the folder that dvc.yaml watches "
            "(`ml adopt` brings a file there)"
        )
    return path


Seed = Annotated[int, Field(ge=0, lt=2**31)]
Task = Literal["binary", "multiclass", "regression"]


class Data(Strict):
    """Where the data is, and which column plays which part."""

    path: Annotated[str, AfterValidator(_below_raw)]
    target: Name
    task: Task
    id: Name | None
    time: Name | None
    label_time: Name | None
    group: Name | None
    protected: list[Name]
    drop: list[Name]

    def aside(self) -> set[str]:
        """Columns that are no features: those with another part, and those that are dropped."""
        named = {self.target, self.id, self.time, self.label_time, self.group, *self.drop}
        return {name for name in named if name}

    @model_validator(mode="after")
    def _parts_are_distinct(self) -> Self:
        others = {"id": self.id, "time": self.time, "group": self.group}
        for part, column in others.items():
            if column == self.target:
                raise ValueError(f"{part} and target are both {column!r}")
        if self.target in self.drop:
            raise ValueError(f"drop holds the target {self.target!r}")
        if self.label_time and not self.time:
            raise ValueError("label_time needs time, the date that it is compared with")
        return self


class Prepare(Strict):
    """How rows are split into train, val and test."""

    split: Literal["random", "hash", "group", "time"]
    val: Annotated[float, Field(gt=0, lt=0.5)]
    test: Annotated[float, Field(gt=0, lt=0.5)]
    sample: Annotated[float, Field(gt=0, le=1)]
    seed: Seed


class Validate(Strict):
    """Limits that a schema cannot express."""

    min_rows: Count
    min_class_rows: Count
    max_class_share: Share
    max_same_value: Share
    max_duplicates: Share
    max_overlap: Share
    max_leakage: Share
    max_psi: Annotated[float, Field(gt=0)]
    max_missing: Annotated[float, Field(gt=0, lt=1)]
    false_alarms: Annotated[float, Field(gt=0, lt=0.5)]


class Model(Strict):
    """The shape of the network."""

    hidden: Annotated[list[Annotated[int, Field(ge=1, le=8192)]], Field(max_length=8)]
    members: Annotated[int, Field(ge=1, le=64)] | Literal["auto"]
    bins: Annotated[int, Field(ge=0, le=256)] | Literal["auto"]
    embedding: Annotated[int, Field(ge=1, le=256)]
    dropout: Annotated[float, Field(ge=0, lt=1)]


class Train(Strict):
    """How the network is fitted."""

    seed: Seed
    epochs: Count | Literal["auto"]
    batch_size: Count | Literal["auto"]
    lr: Annotated[float, Field(gt=0, le=1)]
    weight_decay: Annotated[float, Field(ge=0, le=10)]
    ema: Annotated[float, Field(ge=0, lt=1)]
    patience: Count
    class_weights: bool
    calibrate: bool
    device: Literal["auto", "cpu", "cuda"]
    precision: Literal["auto", "float32", "bfloat16"]
    threads: Count | Literal["auto"]
    resume: bool


class Evaluate(Strict):
    """How the model is scored."""

    threshold: Annotated[float, Field(gt=0, lt=1)]
    calibration_bins: Annotated[int, Field(ge=2, le=100)]
    min_slice_rows: Count
    importance_rows: Count


class Params(Strict):
    """The whole of params.yaml."""

    data: Data
    prepare: Prepare
    validation: Validate = Field(alias="validate")
    model: Model
    train: Train
    evaluate: Evaluate

    @model_validator(mode="after")
    def _split_has_its_column(self) -> Self:
        needs = {"hash": "id", "group": "group", "time": "time"}.get(self.prepare.split)
        if needs and not getattr(self.data, needs):
            raise ValueError(
                f"prepare.split: {self.prepare.split} needs data.{needs}, the column to split by; "
                "name it or choose prepare.split: random"
            )
        return self


def load_params(path: str | Path = PARAMS) -> Params:
    """Read and check params.yaml.

    Raises `Problem` (exit 2) that lists every mistake with file, key, what was
    found, what is allowed, and the nearest valid key.
    """
    return check_yaml(Params, read_yaml(path), path)
