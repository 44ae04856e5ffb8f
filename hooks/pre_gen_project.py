"""Refuse answers that cannot become a project, before any file is written.

One line on stderr names the prompt and its rule; cookiecutter then takes its folder away.
"""

import json
import keyword
import re
import sys
import unicodedata
from collections.abc import Callable

ANSWERS = r"""{{ cookiecutter | tojson }}"""  # JSON holds no three quotes in a row: always data

WORDS = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
BUCKET = re.compile(r"(?=.{3,63}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
BUCKETS_OF_AWS = re.compile(
    r"(\d+\.){3}\d+|(xn--|sthree-|amzn-s3-demo-).*|.*(-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)"
)
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)*")
TEMPLATE = re.compile(r"\{[%#{]")  # cruft renders every answer once more when it updates

OF_WINDOWS = {"aux", "con", "nul", "prn"} | {
    device + digit for device in ("com", "lpt") for digit in "0123456789"
}
# fmt: off
OF_PACKAGES = {
    "boto3", "botocore", "dvc", "dvc_s3", "infra", "matplotlib", "mypy", "numpy", "pandas",
    "pandera", "pip", "pipeline", "psutil", "pyarrow", "pydantic", "pytest", "rich", "ruamel",
    "ruff", "s3fs", "safetensors", "scipy", "setuptools", "sklearn", "test", "tests", "torch",
    "tqdm", "yaml", "yamllint",
}
# fmt: on
UNSEEN = {
    "Cc": "a control character",
    "Cf": "an invisible character",
    "Cn": "a code without a character",
    "Cs": "half a character",
    "Zl": "a line break",
    "Zp": "a line break",
}


def slug(value: str) -> str | None:
    if len(value) not in range(2, 51) or not WORDS.fullmatch(value):
        return "must be 2 to 50 of a-z and 0-9, with single - or _ inside, first a letter"
    name = value.replace("-", "_")
    if keyword.iskeyword(name):
        return "must not be a word of Python itself"
    if name in sys.stdlib_module_names or name in OF_PACKAGES:
        return "must not be the name of a Python module that the project uses"
    if name in OF_WINDOWS:
        return "must not be the name of a device on Windows"
    return None


def line(value: str) -> str | None:
    value = value.strip()
    if not value:
        return "must not be empty"
    if len(value) > 200:
        return f"must be at most 200 characters, has {len(value)}"
    for position, char in enumerate(value, 1):
        if kind := UNSEEN.get(unicodedata.category(char)):
            return f"must be one line of visible text, has {kind} (U+{ord(char):04X}) at {position}"
    if TEMPLATE.search(value):
        return "must not hold an opening brace followed by another one, % or #"
    return None


def bucket(value: str) -> str | None:
    if not BUCKET.fullmatch(value):
        return "must be 3 to 63 of a-z, 0-9, - and ., a letter or digit at the ends of each part"
    if BUCKETS_OF_AWS.fullmatch(value):
        return "must not be an IP address nor have a prefix or suffix that AWS reserves"
    return None


def key(value: str) -> str | None:
    if value and (len(value) > 200 or not KEY.fullmatch(value)):
        return "must be empty or folder/folder, each of A-Z, a-z, 0-9, _, . and -"
    return None


RULES: dict[str, Callable[[str], str | None]] = {
    "project_slug": slug,
    "project_name": line,
    "description": line,
    "author": line,
}
RULES_OF_S3: dict[str, Callable[[str], str | None]] = {"s3_bucket": bucket, "s3_prefix": key}


def problem(answers: dict[str, str]) -> str | None:
    """The first answer that breaks its rule, as one line for the terminal."""
    rules = RULES | (RULES_OF_S3 if answers["dvc_remote"] == "s3" else {})
    for field, rule in rules.items():
        value = str(answers[field])
        if broken := rule(value):
            shown = value if len(value) <= 60 else value[:57] + "..."
            return f"{field} {broken}: got {shown!a}"
    return None


if __name__ == "__main__":
    sys.exit(problem(json.loads(ANSWERS)))
