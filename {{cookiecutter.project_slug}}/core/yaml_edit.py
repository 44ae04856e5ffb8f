"""Edit the project's YAML files as a careful person would: comments and layout stay."""

import difflib
import io
import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from core.errors import Problem
from core.yaml_io import parse_yaml, read_yaml

PLAIN = re.compile(r"[^\W\d][\w./\[\]-]*( [^\W\d][\w./-]*)*")
WORDS = {"yes", "no", "on", "off", "true", "false", "null"}  # no text to YAML 1.1


class _Representer(RoundTripRepresenter):
    """Writes what YAML 1.1 (Pandera) and 1.2 (DVC) read alike."""

    def number(self, value: float) -> Any:
        text = repr(value)
        if "e" in text and "." not in text:
            text = text.replace("e", ".0e")
        return self.represent_scalar("tag:yaml.org,2002:float", text)


_Representer.add_representer(float, _Representer.number)


def _yaml(width: int = 4096) -> YAML:
    yaml = YAML()
    yaml.Representer = _Representer
    yaml.indent(mapping=2, sequence=2, offset=0)  # as DVC writes it
    yaml.preserve_quotes = True
    yaml.width = width
    return yaml


def read(path: Path) -> str:
    """The text of a YAML or CSV file, without a byte order mark; YAML must be valid."""
    if path.suffix == ".yaml":
        read_yaml(path)
    return path.read_text(encoding="utf-8-sig")


def load(text: str) -> Any:
    """What `text` (YAML) says."""
    return parse_yaml(text)


def styled(value: Any) -> Any:
    """`value` as ruamel's types: rows of plain values on one line, doubtful text quoted."""
    if isinstance(value, str):
        plain = PLAIN.fullmatch(value) and value.lower() not in WORDS
        return value if plain else DoubleQuotedScalarString(value)
    if isinstance(value, dict):
        there = CommentedMap((styled(key), styled(one)) for key, one in value.items())
        if all(type(one) in (int, float) for one in value.values()):
            there.fa.set_flow_style()
        return there
    if isinstance(value, list):
        row = CommentedSeq(map(styled, value))
        if not any(isinstance(one, (dict, list)) for one in value):
            row.fa.set_flow_style()
        return row
    return value


def set_values(text: str, section: str, values: dict[str, Any]) -> str:
    """`text` (YAML) with `section.key` set to each value that differs."""
    yaml, out = _yaml(), io.StringIO()
    content = yaml.load(text)
    for key, value in values.items():
        if content[section][key] != value:
            content[section][key] = value if isinstance(value, list) else styled(value)
    yaml.dump(content, out)
    return re.sub(r"(?<!\n)\n(?=\w+:)", "\n\n", out.getvalue())  # sections stand apart


def set_block(text: str, key: str, value: Any) -> str:
    """`text` (YAML) with the top-level block `key` set to `value`; the rest is as it was."""
    text = text if text.endswith("\n") else text + "\n"
    if (load(text) or {}).get(key) == value:
        return text
    out = io.StringIO()
    _yaml(width=100).dump(CommentedMap({key: styled(value)}), out)
    block = rf"^{key}:[^\n]*\n(?:(?:[ \t]*\n|#[^\n]*\n)*[ \t-][ \t]*[^\s][^\n]*\n)*"
    new, times = re.subn(block, lambda _: out.getvalue(), text, count=1, flags=re.MULTILINE)
    new = new if times else f"{text}\n{out.getvalue()}"
    if load(new).get(key) != load(out.getvalue())[key]:
        raise Problem(f"cannot replace the block {key!r}; write it as `{key}:` at the left margin")
    return new


def diff(path: Path, new: str) -> str:
    """What writing `new` to `path` would change, as a unified diff; "" for nothing."""
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), f"a/{path}", f"b/{path}"
    )
    return "".join(lines)
