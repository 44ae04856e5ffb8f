"""How many mutants of the model's and the data contract's code the shipped unit tests kill.

mutmut changes one thing at a time in the functions of pipeline/ and core/validation/ of a generated
project, and runs the tests of tests/code that call the changed function. A mutant that only words
differently does not count: one that differs in text that holds a space, stands in an f-string, or
in what is raised or printed; names of columns, files and options hold none. Survivors are listed
in survivors.yaml under the reason for which they may live, by function and changed line, so that
they are found again when lines move. Exit status 1: fewer than 85 % died, or one is not listed.

mutmut leaves decorated functions alone, so that their bodies become plain functions before; what a
module computes on import it does not reach.
"""

import ast
import difflib
import json
import os
import re
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import yaml
from workspace import apart, generated

LEAST = 0.85
LISTED = Path(__file__).with_name("survivors.yaml")
LIVE = (0, 5, 33)  # mutmut's codes for: its tests pass, none was run, none calls the function
SETTINGS = """
[mutmut]
source_paths =
    core
    pipeline
only_mutate =
    core/validation/*
    pipeline/*
also_copy =
    data
    ops
    dvc.yaml
    gates.yaml
    params.yaml
    retrain.yaml
    schema.yaml
pytest_add_cli_args =
    -p
    no:cacheprovider
    -p
    no:unraisableexception
pytest_add_cli_args_test_selection =
    tests/code
    --ignore=tests/code/test_dependencies.py
process_isolation = forkserver
timeout_constant = 20
timeout_multiplier = 2
"""
HOOKS = '''

import gc

import pandas as pd
import pandera.pandas as pa
import pytest
import scipy.special
import sklearn.linear_model
import torch
from mutmut.state import state

gc.disable()  # it would write to all memory, and each mutant's process then copies it
pa.DataFrameSchema({"x": pa.Column(int)}).validate(pd.DataFrame({"x": [1]}))  # imports more, and so
torch.nn.Linear(1, 1, device="meta")  # does this: once, and not in every process

CALLED = {}  # functions, by fixture


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef):
    before = set(state()._stats)
    result = yield
    CALLED.setdefault(fixturedef.argname, set()).update(state()._stats - before)
    return result


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item):
    """mutmut thinks that what a shared fixture calls is tested by its first test alone."""
    for name in item.fixturenames:
        state()._stats.update(CALLED.get(name, ()))


def pytest_collection_modifyitems(items):
    """Units first: most mutants die before anything is trained."""
    slow = ("test_training", "test_model", "test_resume", "test_stages")
    items.sort(key=lambda item: slow.index(item.path.stem) if item.path.stem in slow else -1)
'''


class Wording(ast.NodeTransformer):
    """Makes all wording the same."""

    inside = 0  # of what is raised or printed

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        text = isinstance(node.value, str)
        worded = (text and " " in node.value) or (self.inside and (text or type(node.value) is int))
        return ast.Constant("wording") if worded else node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id == "print":
            return self.worded(node)
        return self.generic_visit(node)

    def worded(self, node: ast.AST) -> ast.AST:
        self.inside += 1
        self.generic_visit(node)
        self.inside -= 1
        return node

    visit_JoinedStr = visit_Raise = worded


def undecorated(module: str) -> str:
    """The module with the body of each decorated function in a plain one before it."""
    lines, tree = module.splitlines(), ast.parse(module)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    decorated = [
        (node, place)
        for place in (tree, *classes)
        for node in place.body
        if isinstance(node, ast.FunctionDef) and node.decorator_list
        if ast.unparse(node.decorator_list[0]) != "classmethod" and len(node.body) > 1
    ]
    for node, place in sorted(decorated, key=lambda one: -one[0].lineno):
        first, body = node.decorator_list[0].lineno - 1, node.body[0].lineno - 1
        plain = lines[node.lineno - 1 : node.end_lineno]
        plain[0] = plain[0].replace(f"def {node.name}(", f"def {node.name}_body(", 1)
        names = [argument.arg for argument in node.args.args]
        owner = f"{names.pop(0)}." if place in classes else ""
        call = f"return {owner}{node.name}_body({', '.join(names)})"
        indented = " " * node.body[0].col_offset + call
        lines[first : node.end_lineno] = [*plain, "", *lines[first:body], indented]
    return "\n".join(lines) + "\n"


def meaning(function: str) -> str:
    return ast.dump(Wording().visit(ast.parse(function)))


def change(before: str, after: str) -> str:
    """The changed line as it is now, or the lines that are gone."""
    lines = [
        line[:1] + line[1:].strip() for line in difflib.ndiff(*map(str.splitlines, (before, after)))
    ]
    new = [line[1:] for line in lines if line.startswith("+")]
    return " ".join(new or ["without", *(line[1:] for line in lines if line.startswith("-"))])


def mutants(folder: Path) -> Iterator[tuple[str, str, bool]]:
    """File, name (function and change) of each mutant that counts, and whether it lives."""
    for meta in sorted(folder.rglob("*.meta")):
        path = meta.with_suffix("")
        codes = json.loads(meta.read_text())["exit_code_by_key"]
        spans = json.loads(path.with_suffix(".py.spans").read_text())["spans"] if codes else {}
        lines = path.read_text().splitlines()

        def source(name: str, spans: dict[str, list[int]] = spans, of: list[str] = lines) -> str:
            text = textwrap.dedent("\n".join(of[spans[name][0] - 1 : spans[name][1]]))
            return re.sub(r"def x\S+?__mutmut_\w+\(", "def f(", text, count=1)

        for key, code in codes.items():
            module, _, name = key.rpartition(".")
            function = name.partition("__mutmut_")[0]
            before, after = source(f"{function}__mutmut_orig"), source(name)
            if meaning(before) != meaning(after):
                said = (
                    function.removeprefix("x_")
                    .removeprefix("xǁ")
                    .replace("ǁ", ".")
                    .removesuffix("_body")
                )
                file = path.relative_to(folder).as_posix()
                yield file, f"{module}.{said}: {change(before, after)}", code in LIVE


def judge(folder: Path) -> int:
    """Print the score of each file and what survives without a reason; the exit status."""
    reasons: dict[str, list[str]] = yaml.safe_load(LISTED.read_text(encoding="utf-8")) or {}
    listed = {name for names in reasons.values() for name in names}
    found = list(mutants(folder))
    total, dead = (
        Counter(file for file, *_ in found),
        Counter(f for f, _, live in found if not live),
    )
    for file in total:
        print(f"{file:34}{dead[file]:5} of {total[file]:4}{dead[file] / total[file]:7.1%}")
    score = sum(dead.values()) / max(1, len(found))
    print(f"{'all':34}{sum(dead.values()):5} of {len(found):4}{score:7.1%}, at least {LEAST:.0%}")
    alive = {name for _, name, live in found if live}
    for name in sorted(alive - listed):
        print(f"survives without a reason in {LISTED.name}: {name}")
    for name in sorted(listed - alive):
        print(f"no longer survives, take it out of {LISTED.name}: {name}")
    return int(score < LEAST or not alive <= listed)


def main() -> int:
    project = generated()
    (project / "setup.cfg").write_text(SETTINGS, encoding="utf-8")
    with (project / "tests/conftest.py").open("a", encoding="utf-8") as file:
        file.write(HOOKS)
    for folder in ("pipeline", "core/validation"):
        for path in (project / folder).glob("*.py"):
            path.write_text(undecorated(path.read_text("utf-8")), encoding="utf-8")
    command = ["mutmut", "run", *sys.argv[1:]]
    environment = apart() | {"OMP_NUM_THREADS": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    subprocess.run(command, cwd=project, env=environment, check=True)
    return judge(project / "mutants")


if __name__ == "__main__":
    os.chdir(Path(__file__).parent)
    sys.exit(main())
