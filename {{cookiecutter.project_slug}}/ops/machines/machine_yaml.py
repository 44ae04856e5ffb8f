"""What machine.yaml may say: every key with its type and its range."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from core.paths import MACHINE
from core.yaml_io import Strict, check_yaml, read_yaml

LONGEST = 4320  # minutes that timeout_minutes may say
MARGIN = 15  # minutes that a hired machine may outlive the limit of its job


def like(pattern: str) -> Any:
    """A text that matches all of `pattern`, in ASCII and on one line."""
    return Field(pattern=rf"^(?:{pattern})\z")


Disk = Annotated[int, Field(ge=20, le=16384)]
Label = Annotated[str, like(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")]


class Hosted(Strict):
    """One of GitHub's own runners, or a larger one of your organisation."""

    runs_on: Label
    gpu: bool


class SelfHosted(Strict):
    """A runner that you keep, found by its labels."""

    labels: Annotated[list[Label], Field(min_length=1, max_length=20)]
    gpu: bool


class Aws(Strict):
    """An instance on EC2; `image` is the name of an AMI, in which * stands for anything."""

    region: Annotated[str, like(r"[a-z]{2}(-[a-z]+)+-[0-9]")]
    type: Annotated[str, like(r"[a-z][a-z0-9-]*\.[a-z0-9-]+")]
    image: Annotated[str, like(r"[A-Za-z0-9][A-Za-z0-9 ()./@_*-]{2,127}")]
    disk_gb: Disk
    spot: bool
    gpu: bool


class Gcp(Strict):
    """An instance on Compute Engine; `image` is project/family."""

    zone: Annotated[str, like(r"[a-z]+-[a-z]+[0-9]+-[a-z]")]
    type: Annotated[str, like(r"[a-z][a-z0-9-]+")]
    accelerator: Annotated[str, like(r"nvidia-[a-z0-9-]+\*[1-9][0-9]?")] | None
    image: Annotated[str, like(r"[a-z][a-z0-9-]{4,62}/[a-z][a-z0-9_-]{1,62}")]
    disk_gb: Disk
    spot: bool
    gpu: bool


class Azure(Strict):
    """A virtual machine on Azure; `image` is publisher:offer:sku:version."""

    region: Annotated[str, like(r"[a-z]+[0-9]?")]
    type: Annotated[str, like(r"Standard_[A-Za-z0-9_]+")]
    image: Annotated[str, like(r"[A-Za-z0-9_-]+(:[A-Za-z0-9_.-]+){3}")]
    disk_gb: Disk
    spot: bool
    gpu: bool


class Machine(Strict):
    """The whole of machine.yaml."""

    use: Literal["hosted", "self-hosted", "aws", "gcp", "azure"]
    timeout_minutes: Annotated[int, Field(ge=5, le=LONGEST)]
    sample: Annotated[float, Field(gt=0, le=1)]
    price_per_hour: Annotated[float, Field(ge=0, le=1000)] | None
    hosted: Hosted
    self_hosted: SelfHosted = Field(alias="self-hosted")
    aws: Aws
    gcp: Gcp
    azure: Azure

    @model_validator(mode="after")
    def _github_allows_it(self) -> Self:
        if self.use == "hosted" and self.timeout_minutes > 360:
            raise ValueError(
                f"timeout_minutes: found {self.timeout_minutes}; must be at most 360, after which "
                "GitHub ends a job on its own runners"
            )
        return self

    @property
    def hired(self) -> Aws | Gcp | Azure | None:
        """What to hire, or None where the machine is there already."""
        clouds: dict[str, Aws | Gcp | Azure]
        clouds = {"aws": self.aws, "gcp": self.gcp, "azure": self.azure}
        return clouds.get(self.use)

    @property
    def region(self) -> str:
        """Where the hired machine stands: a region, on gcp a zone; "" where none is hired."""
        here = self.hired
        return here.zone if isinstance(here, Gcp) else here.region if here else ""

    @property
    def gpu(self) -> bool:
        """Whether the chosen machine has a GPU to check for."""
        own = self.hosted if self.use == "hosted" else self.self_hosted
        return (self.hired or own).gpu


def load_machine(path: str | Path = MACHINE) -> Machine:
    """Read and check machine.yaml; a `Problem` (exit 2) lists every mistake."""
    return check_yaml(Machine, read_yaml(path), path)
