"""Reading a YAML file through a model of what it may say: nothing unknown, nothing guessed."""

import re
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer, ComposerError
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent

from core.errors import Problem, nearest

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(min_length=1)]
ModelType = TypeVar("ModelType", bound=BaseModel)
BYTES, DEPTH, NODES = 1 << 20, 50, 50_000  # of one file, aliases written out
# pydantic's names of what a value was taken for
BRANCH = re.compile(r"int|float|none|constrained-\w+|(literal|dict|list|function-\w+)\[.*|\[key\]")


class Strict(BaseModel):
    """No unknown key, no guessed type, no NaN."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class _Bounded(Composer):
    """Refuses a document that is too deep, too large, or so once its aliases are written out."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.depth = self.nodes = 0
        self.sizes: dict[int, int] = {}  # nodes below each node, by its id

    def compose_node(self, parent: Any, index: Any) -> Any:
        event, before = self.parser.peek_event(), self.nodes
        self.depth, self.nodes = self.depth + 1, before + 1
        if self.depth > DEPTH:
            self._refuse(f"nested more than {DEPTH} deep", event)
        node = super().compose_node(parent, index)
        if not isinstance(event, AliasEvent):
            self.sizes[id(node)] = self.nodes - before
        elif id(node) not in self.sizes:
            self._refuse(f"{event.anchor!r} holds itself", event)
        else:
            self.nodes += self.sizes[id(node)]
        if self.nodes > NODES:
            self._refuse(f"more than {NODES:,} values, aliases written out", event)
        self.depth -= 1
        return node

    def _refuse(self, problem: str, event: Any) -> None:
        raise ComposerError(problem=problem, problem_mark=event.start_mark)


def read_yaml(path: str | Path) -> Any:
    """Read one YAML 1.2 document.

    Raises `Problem` for a missing file, a duplicate key, a tab, a conflict marker, and for more
    than BYTES, DEPTH or NODES.
    """
    try:
        content = Path(path).read_bytes()
        if len(content) > BYTES:
            raise Problem(f"{path}: {len(content):,} bytes; at most {BYTES:,}")
        return parse_yaml(content.decode("utf-8-sig"), path)
    except FileNotFoundError:
        raise Problem(f"{path}: no such file; run this in the project's folder") from None
    except UnicodeDecodeError as error:
        raise Problem(f"{path}: not UTF-8 at byte {error.start}") from None


def parse_yaml(text: str, path: str | Path = "text") -> Any:
    """What one YAML 1.2 document says; see `read_yaml`. `path` is for the message."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _Bounded
    try:
        return yaml.load(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"{path}:{mark.line + 1}" if mark else f"{path}"
        what = (getattr(error, "problem", None) or str(error)).split("\n")[0]
        raise Problem(f"{line}: not valid YAML: {what}") from None
    except Exception as error:  # of the 30th of February, of a number of 5,000 digits
        raise Problem(f"{path}: not valid YAML: {str(error)[:200]}") from None


def check_yaml(kind: type[ModelType], content: Any, path: str | Path) -> ModelType:
    """Validate `content` as a `kind`; all mistakes in one `Problem` (exit 2)."""
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        lines = [_explain(kind, one) for one in error.errors() if not _beside(one)]
        raise Problem("\n".join(f"{path}: {line}" for line in dict.fromkeys(lines))) from None


def _beside(error: Any) -> bool:
    """Whether it only says that a section could have been `off`: its own mistakes are reported."""
    branch = str((error["loc"] or ("",))[-1])
    return branch.startswith("literal[") and isinstance(error["input"], dict)


def _explain(kind: type[BaseModel], error: Any) -> str:
    """One pydantic error as "key: found X; must be Y"."""
    names = {one.__name__ for one in _models(kind)}
    where = [str(part) for part in error["loc"]]
    where = [part for part in where if part not in names and not BRANCH.fullmatch(part)]
    key, got = ".".join(where), repr(error["input"])[:60]
    if error["type"] == "extra_forbidden":
        return f"{key}: unknown key{nearest(where[-1], _keys(kind, where[:-1]))}"
    if error["type"] == "missing":
        return f"{key}: missing; add it"
    if error["type"] == "value_error":
        return ": ".join([*([key] if key else []), str(error["ctx"]["error"])])
    wanted = error["msg"].removeprefix("Input ")
    if error["type"] in ("model_type", "dict_type"):
        wanted = "should be a section with keys of its own"
    return f"{key or 'file'}: found {got}; {wanted}"


def _models(kind: Any) -> list[type[BaseModel]]:
    """The models of a type: itself, those that it is made of, those of its fields."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        fields = [one for field in kind.model_fields.values() for one in _models(field.annotation)]
        return [kind, *fields]
    return [one for part in get_args(kind) for one in _models(part)]


def _keys(kind: type[BaseModel], path: list[str]) -> list[str]:
    """The keys allowed below `path`."""
    for part in path:
        fields = {field.alias or name: field for name, field in kind.model_fields.items()}
        if part in fields:
            kind = next(iter(_models(fields[part].annotation)), kind)
    return [field.alias or name for name, field in kind.model_fields.items()]
