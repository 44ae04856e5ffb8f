"""What may be answered: the numbers are those of the list of hostile answers in CONTRIBUTING.md."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from conftest import Generate, tree
from cookiecutter.exceptions import FailedHookException, UndefinedVariableInTemplate
from jinja2.exceptions import TemplateSyntaxError, UndefinedError

TEXTS = ("project_name", "description", "author")
BY_COOKIECUTTER = (UndefinedVariableInTemplate, UndefinedError, TemplateSyntaxError, ValueError)

REFUSED_SLUGS = {
    1: ["my proj"],
    2: ["MyProj"],
    3: ["../x"],
    4: ["/abs/x"],
    5: ["a/b"],
    6: ["a\\b"],
    7: ["."],
    8: [".."],
    9: [""],
    10: ["-rf"],
    11: ["--help"],
    12: ["1abc"],
    13: ["class"],
    14: ["None"],
    15: ["torch"],
    16: ["dvc", "pandas", "yaml", "pandera"],
    17: ["json", "types", "test"],
    18: ["con", "nul", "aux", "com1"],
    19: ["abc."],
    20: ["_x", "__init__"],
    21: ["a" * 300],
    23: ["a"],
    24: ["a--b", "a__b"],
    25: ["a-"],
    26: ["ünïcode", "ａｂ"],
    27: ["tоrch"],
    29: ["a\nb", "ab\n\n"],
    30: ["$(id)", "`id`", "a;id"],
    31: ["{{7*7}}"],
    32: [".git", ".github"],
}
ACCEPTED_SLUGS = {14: ["match"], 22: ["a" * 50], 24: ["a-b", "a_b"]}

REFUSED_TEXTS = {
    36: ["a\nb"],
    37: ["a\tb"],
    39: ["a\u202eb"],
    40: ["a\u200bb", "\ufeffa"],
    47: ["${{ secrets.X }}"],
    48: ["{# #}", "{% raw %}"],
    50: ["a" * 10_000],
    52: ["   "],
    53: ["a\ud800"],
}
ACCEPTED_TEXTS = {
    33: ["O'Brien"],
    34: ['Jo "J" Doe'],
    35: ["A\\U B", "ends in \\", "'''"],
    38: ["Zoë \N{ROCKET}"],
    41: ["a: b"],
    42: ["a # b"],
    43: ["*x", "&x", "!x", "%x", "@x", "`x`"],
    44: ["{x", "[x"],
    45: ["yes", "no", "on", "null", "~", "1e3", "0o17", "2020-01-01"],
    46: ['"""\nimport os'.replace("\n", " "), '"""); import os; ("""'],
    49: ["<script>", "]]>", "-->"],
    51: ["  a b  "],
    54: ["-- drop"],
}

REFUSED_BUCKETS = {59: ["My_Bucket", "a..b", "192.168.0.1", "xn--a", "ab", "-ab", "a" * 64, "ab "]}
REFUSED_PREFIXES = {59: ["/a", "a/", "a//b", "../a", "a b", "a;id", "a/../b", "-x"]}
REFUSED_PYTHONS = {65: ["3.15", "2.7", "3.10.x"]}


def cases(table: dict[int, list[str]]) -> pytest.MarkDecorator:
    values = [
        pytest.param(value, id=f"{number}-{ascii(value)[1:-1][:20]}")
        for number, values in table.items()
        for value in values
    ]
    return pytest.mark.parametrize("value", values)


def run(
    template: Path, folder: Path, *arguments: str, typed: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Call cookiecutter as a user does, answers on the command line or typed."""
    quiet = [] if typed is not None else ["--no-input"]
    return subprocess.run(
        [sys.executable, "-m", "cookiecutter", *quiet, template, "-o", folder, *arguments],
        env=os.environ | {"PYTHONUTF8": "1"} | environment,
        input=typed,
        capture_output=True,
        encoding="utf-8",
    )


@pytest.fixture
def refuses(generate: Generate, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """Check that an answer is refused in a line that names its prompt, and leaves nothing."""

    def check(field: str, **prompts: str) -> None:
        folder = tmp_path / "home" / "here"
        folder.mkdir(parents=True)
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises((FailedHookException, *BY_COOKIECUTTER)) as refusal:
            generate(folder, **prompts)
        said = (capfd.readouterr().err + str(refusal.value)).splitlines()
        assert [line for line in said if field in line]
        assert sorted(tmp_path.rglob("*")) == before

    return check


@cases(REFUSED_SLUGS)
def test_slug_is_refused(refuses, tmp_path: Path, value: str) -> None:
    refuses("project_slug", project_slug=value.replace("/abs", str(tmp_path / "abs")))


@cases(ACCEPTED_SLUGS)
def test_slug_is_accepted(generate: Generate, tmp_path: Path, value: str) -> None:
    assert generate(tmp_path, project_slug=value) == tmp_path / value


def test_28_slug_with_nul_leaves_nothing(generate: Generate, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="null byte"):  # from the file system, before any hook
        generate(tmp_path, project_slug="a\0b")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("field", TEXTS)
@cases(REFUSED_TEXTS)
def test_text_is_refused(refuses, field: str, value: str) -> None:
    refuses(field, **({"project_slug": "case"} | {field: value}))


@pytest.mark.parametrize("value", ["{% raw %}", "{# #}", "${{ secrets.X }}", "{{ 7 * 7 }}"])
def test_47_48_template_that_is_typed_is_refused(
    template: Path, tmp_path: Path, value: str
) -> None:
    done = run(template, tmp_path, typed=f"Name\nname\n{value}\n" + 9 * "\n")
    assert done.returncode == 1
    assert "description must not hold an opening brace" in done.stderr
    assert not list(tmp_path.iterdir())


def test_48_template_on_the_command_line_leaves_nothing(generate: Generate, tmp_path: Path) -> None:
    with pytest.raises(TemplateSyntaxError):  # cookiecutter renders it, before any hook
        generate(tmp_path, description="{% if %}")
    assert not list(tmp_path.iterdir())


@cases(ACCEPTED_TEXTS)
def test_text_is_kept(generate: Generate, project: Path, tmp_path: Path, value: str) -> None:
    made = generate(tmp_path, project_slug="credit-risk", **dict.fromkeys(TEXTS, value))
    stated = tomllib.loads((made / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert stated["description"] == stated["authors"][0]["name"] == value.strip()
    assert f"Copyright (c) {value.strip()}\n" in (made / "LICENSE").read_text(encoding="utf-8")
    changed = {name for name, _ in tree(made).items() ^ tree(project).items()}
    assert changed <= {"LICENSE", "README.md", "pyproject.toml"}
    if (made / "README.md").exists():
        assert "<script>" not in (made / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Credit_Risk  2", "credit-risk-2"),
        ("Zoë's \N{ROCKET}", "zoe-s"),
        ("1e3", "model-1e3"),
        ("~", "model"),
        ("*x", "model-x"),
        ("a " * 100, "-".join("a" * 22)),
    ],
)
def test_slug_follows_the_name(generate: Generate, tmp_path: Path, name: str, slug: str) -> None:
    assert generate(tmp_path, project_name=name).name == slug


@cases(REFUSED_BUCKETS)
def test_bucket_is_refused(refuses, value: str) -> None:
    refuses("s3_bucket", dvc_remote="s3", s3_bucket=value)


@cases(REFUSED_PREFIXES)
def test_prefix_is_refused(refuses, value: str) -> None:
    refuses("s3_prefix", dvc_remote="s3", s3_prefix=value)


def test_bucket_is_not_looked_at_without_s3(generate: Generate, tmp_path: Path) -> None:
    generate(tmp_path, s3_bucket="My_Bucket", s3_prefix="..")


@cases(REFUSED_PYTHONS)
def test_python_is_refused(refuses, value: str) -> None:
    refuses("python_version", python_version=value)
