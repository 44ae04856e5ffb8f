"""Random answers: judged without a crash, and what is accepted arrives as it was given."""

import ast
import json
import sys
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from configobj import ConfigObj
from conftest import FOLDER, ROOT, tree
from cookiecutter.generate import generate_files
from cookiecutter.utils import create_env_with_context
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

PROMPTS: dict[str, Any] = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
JINJA = create_env_with_context({})
HOOK = ROOT / "hooks/pre_gen_project.py"
ANSWERS = JINJA.from_string(
    next(line for line in HOOK.read_text().splitlines() if line.startswith("ANSWERS"))
)
DERIVED = {
    name: JINJA.from_string(text)
    for name, text in PROMPTS.items()
    if name.startswith("__") and isinstance(text, str)
}
RENDERED = {
    name: JINJA.from_string((ROOT / FOLDER / name).read_text(encoding="utf-8"))
    for name in ("pyproject.toml", "LICENSE", ".dvc/config")
}
S3_FILES = {"data/raw/.gitignore", "data/raw/sample.csv.dvc"}

spec = spec_from_file_location("pre_gen_project", HOOK)
assert spec
assert spec.loader
hook = module_from_spec(spec)
spec.loader.exec_module(hook)

hostile = st.sampled_from(
    ['"', "'''", '"""', "\\", "{{", "{%", "{#", "${{", "\n", "\0", "\u2028", "\ud800", "../", ": #"]
)
anything = st.lists(hostile | st.text(max_size=9), max_size=5).map("".join)
visible = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=99)
texts = visible | visible | visible | anything
names = st.from_regex(r"[a-z][a-z0-9]{1,9}([-_][a-z]{1,9})*", fullmatch=True)
buckets = st.from_regex(r"[a-z0-9][a-z0-9.-]{1,9}[a-z0-9]", fullmatch=True)
prefixes = st.from_regex(r"(\w+/){,3}\w+", fullmatch=True)
answers = st.fixed_dictionaries(
    {
        "project_name": texts,
        "project_slug": names | names | anything,
        "description": texts,
        "author": texts,
        "license": st.sampled_from(PROMPTS["license"]),
        "python_version": st.sampled_from(PROMPTS["python_version"]),
        "dvc_remote": st.sampled_from(PROMPTS["dvc_remote"]),
        "machine": st.sampled_from(PROMPTS["machine"]),
        "s3_bucket": buckets | buckets | anything,
        "s3_prefix": prefixes | prefixes | anything,
    }
)


def complete(given_answers: dict[str, str]) -> dict[str, Any]:
    """The answers as if typed, with all that cookiecutter.json derives from them."""
    context: dict[str, Any] = {**given_answers, "_copy_without_render": []}
    for name, template in DERIVED.items():
        context[name] = template.render(cookiecutter=context)
    return context


def assert_kept(given_answers: dict[str, str], files: dict[str, str]) -> None:
    stated = tomllib.loads(files["pyproject.toml"])["project"]
    assert stated["name"] == given_answers["project_slug"]
    assert stated["description"] == given_answers["description"].strip()
    assert stated["authors"] == [{"name": given_answers["author"].strip()}]
    assert stated["requires-python"] == ">=" + given_answers["python_version"]
    assert given_answers["author"].strip() in files["LICENSE"]
    url = ConfigObj(files[".dvc/config"].splitlines())['remote "storage"']["url"]
    if given_answers["dvc_remote"] == "s3":
        place = "/".join(filter(None, [given_answers["s3_bucket"], given_answers["s3_prefix"]]))
        assert url == f"s3://{place}"
    else:
        assert url == f"../../{given_answers['project_slug']}-storage"


def assert_read_as_data(given_answers: dict[str, str]) -> None:
    """The hook's line stays one assignment of a constant, which holds the answers."""
    (line,) = ast.parse(ANSWERS.render(cookiecutter=given_answers)).body
    assert isinstance(line, ast.Assign)
    assert json.loads(ast.literal_eval(line.value)) == given_answers


@settings(max_examples=2000, deadline=None)
@given(answers)
def test_answers_are_refused_in_one_line_or_kept(given_answers: dict[str, str]) -> None:
    assert_read_as_data(given_answers)
    if refusal := hook.problem(given_answers):
        event(f"refused: {refusal.split()[0]}")
        assert refusal.isprintable()
        assert refusal.isascii()
        assert refusal.split()[0] in given_answers
        return
    event("kept")
    slug, context = given_answers["project_slug"], complete(given_answers)
    assert Path(slug).name == slug
    assert slug not in sys.stdlib_module_names
    assert_kept(
        given_answers,
        {name: template.render(cookiecutter=context) for name, template in RENDERED.items()},
    )
    for name in ("description", "author"):  # what is fit for quotes in TOML is so in YAML
        assert yaml.safe_load(f'"{context["__" + name]}"') == given_answers[name].strip()


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(given_answers=answers)
def test_accepted_answers_make_a_project(
    template: Path, project: Path, given_answers: dict[str, str]
) -> None:
    assume(hook.problem(given_answers) is None)
    with TemporaryDirectory() as name:
        outer, inner = Path(name), Path(name, "one/two")
        context = complete(given_answers)
        context["_copy_without_render"] = PROMPTS["_copy_without_render"]
        made = Path(generate_files(template, {"cookiecutter": context}, inner))
        around = {outer / "one", inner, made}
        assert {path for path in outer.rglob("*") if made not in path.parents} == around
        files = tree(made)
        assert_kept(given_answers, {name: files[name].decode() for name in RENDERED})
        may_differ = {*RENDERED, "README.md", ".python-version", "machine.yaml", *S3_FILES}
        assert {name for name, _ in files.items() ^ tree(project).items()} <= may_differ
