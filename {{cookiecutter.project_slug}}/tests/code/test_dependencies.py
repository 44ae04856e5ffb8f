"""dvc.yaml names what each stage imports, and imports run one way: core, pipeline, ops."""

from ops.doctor import dependencies

ORDER = [  # of ops: a folder or file imports only what stands above it
    {"machines"},
    {"dvc_lock", "snapshot", "tags", "checkout"},
    {"gates"},
    {"monitoring"},
    {"report", "doctor", "adopt", "compare"},
    {"registry"},
    {"serving"},
    {"cli"},
    {"__main__"},
]
STRATA = ["core", "pipeline", "ops"]


def test_every_stage_declares_the_code_that_it_imports() -> None:
    missing = dependencies.missing()
    assert not missing, "add to dvc.yaml:\n" + dependencies.lines(missing)


def test_no_stage_declares_code_that_it_does_not_import() -> None:
    assert not dependencies.unused()


def test_core_imports_nothing_of_ours_and_nothing_imports_ops() -> None:
    for module, imported in dependencies.imports().items():
        allowed = STRATA[: STRATA.index(module.split(".")[0]) + 1]
        wrong = {one for one in imported if one.split(".")[0] not in allowed}
        assert not wrong, f"{module} imports {wrong}"


def test_the_folders_of_ops_stand_in_order() -> None:
    level = {name: i for i, names in enumerate(ORDER) for name in names}
    for module, imported in dependencies.imports().items():
        if not module.startswith("ops."):
            continue
        mine = module.split(".")[1]
        for one in imported:
            if one.startswith("ops.") and (other := one.split(".")[1]) != mine:
                assert level[other] <= level[mine], f"{module} imports {one}"
                assert level[other] < level[mine] or level[mine] == 1, f"{module} imports {one}"


def test_there_is_no_circle_between_files() -> None:
    imports = dependencies.imports()
    for module in imports:
        reached = dependencies.closure({module}, imports, without_start=True)
        assert module not in reached, f"{module} needs itself"
