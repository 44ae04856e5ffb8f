"""Which of our modules import which, and whether dvc.yaml names what each stage imports.

A module that a stage imports and dvc.yaml does not name is a silent trap: editing it leaves the
stage "up to date".
"""

import ast
from collections.abc import Iterable
from pathlib import Path

from core.errors import Problem
from core.paths import PIPELINE
from core.yaml_io import read_yaml
from ops.doctor.environment import Note, fail, named

STRATA = ("core", "pipeline", "ops")
Imports = dict[str, set[str]]


def imports(strata: Iterable[str] = STRATA) -> Imports:
    """{module: our modules that it imports}, also those imported inside of functions."""
    paths = [path for stratum in strata for path in sorted(Path(stratum).rglob("*.py"))]
    known = {  # an __init__.py holds no code
        ".".join(path.with_suffix("").parts): path for path in paths if path.stem != "__init__"
    }
    imported: Imports = {}
    for module, path in known.items():
        package = module.split(".")[:-1]
        names = set[str]()
        for node in ast.walk(_parse(path)):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                up = package[: len(package) - node.level + 1] if node.level else []
                base = ".".join([*up, *([node.module] if node.module else [])])
                names |= {base} | {f"{base}.{alias.name}" for alias in node.names}
        imported[module] = (names & known.keys()) - {module}
    return imported


def closure(start: set[str], of: Imports, *, without_start: bool = False) -> set[str]:
    """All modules that these import, directly or not."""
    reached, todo = set[str](), [start]
    while todo:
        for module in todo.pop():
            fresh = of.get(module, set()) - reached
            reached |= fresh
            todo += [fresh] if fresh else []
    return reached if without_start else reached | start


def wanted() -> dict[str, set[str]]:
    """{stage: the files of code that it imports}, of the stages that run a module of ours."""
    graph = imports()
    code = {}
    for stage, entry in _stages().items():
        words = str(entry.get("cmd", "")).split()
        module = next((word for word in words if word in graph), None)
        if module:
            names = closure({module}, graph)
            code[stage] = {f"{name.replace('.', '/')}.py" for name in names}
    return code


def missing() -> dict[str, list[str]]:
    """{stage: files that it imports and dvc.yaml does not name}."""
    undeclared = {}
    for stage, files in wanted().items():
        deps = _deps(stage)
        lacking = [f for f in sorted(files) if not any(_covers(dep, f) for dep in deps)]
        if lacking:
            undeclared[stage] = lacking
    return undeclared


def unused() -> dict[str, list[str]]:
    """{stage: code that dvc.yaml names and that it does not import}."""
    idle_code = {}
    for stage, files in wanted().items():
        ours = [dep for dep in _deps(stage) if dep.split("/")[0] in STRATA]
        idle = [dep for dep in ours if not any(_covers(dep, file) for file in files)]
        if idle:
            idle_code[stage] = idle
    return idle_code


def lines(missing: dict[str, list[str]]) -> str:
    """The lines to add to dvc.yaml, stage by stage."""
    return "\n".join(
        f"  {stage}:\n    deps:\n" + "\n".join(f"      - {file}" for file in files)
        for stage, files in missing.items()
    )


def note() -> Note | None:
    """What dvc.yaml lacks, or which file is not Python."""
    try:
        lacking = missing()
    except Problem as problem:
        return fail("code", str(problem), f"edit {str(problem).split(':')[0]}")
    if not lacking:
        return None
    stages = "; ".join(f"{stage} imports {named(files)}" for stage, files in lacking.items())
    message = f"not among its deps, so that editing it changes nothing: {stages}"
    return fail("deps", message, f"add to {PIPELINE}:\n{lines(lacking)}")


def _parse(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise Problem(f"{path}:{error.lineno}: {error.msg}") from None
    except ValueError as error:
        raise Problem(f"{path}: {error}") from None


def _covers(dep: str, file: str) -> bool:
    return dep == file or file.startswith(f"{dep.rstrip('/')}/")


def _stages() -> dict[str, dict[str, object]]:
    content = read_yaml(PIPELINE)
    stages = content.get("stages") if isinstance(content, dict) else None
    stages = stages if isinstance(stages, dict) else {}
    return {name: one for name, one in stages.items() if isinstance(one, dict)}


def _deps(stage: str) -> list[str]:
    deps = _stages()[stage].get("deps")
    return [str(dep) for dep in deps] if isinstance(deps, list) else []
