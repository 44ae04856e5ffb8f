"""The registry: only what can be verified gets in, and back is where it was good."""

import contextlib
import io
import json
import re
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import inside
import pytest
import yaml
from inside import Said
from shell import dvc, run

GOOD, BAD = "model@v1.0.0", "model@v1.1.0"
KINDS = ("calibration", "regression", "fairness", "behaviour", "invariance", "direction")
LOOSE: dict[str, Any] = {"performance": {"roc_auc": {"min": 0.5}}} | dict.fromkeys(KINDS, "off")


class World(NamedTuple):
    """A project with its origin and its storage, beside each other."""

    here: Path

    @property
    def origin(self) -> Path:
        return self.here.parent / "origin.git"

    @property
    def storage(self) -> Path:
        return self.here.parent / "credit-risk-storage"

    def git(self, *arguments: str, code: int = 0) -> str:
        return run("git", *arguments, cwd=self.here, code=code).strip()

    def tags(self) -> set[str]:
        return set(self.git("tag").splitlines())

    def there(self) -> set[str]:
        """The tags at origin."""
        return set(run("git", "tag", cwd=self.origin).split())

    def commit(self, message: str = "Work") -> None:
        self.git("add", "--all")
        self.git("commit", "-qm", message)

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """What `ml registry ARGUMENTS` prints."""
        from ops import cli

        def does() -> None:
            cli.app(["registry", *arguments], prog_name="ml", standalone_mode=False)

        found = work("registry", does, self.here)
        assert found.code == code, found.text
        assert "Traceback" not in found.text
        return found.text

    def card(self) -> str:
        """Write the card, and commit it."""
        from core.files import replacing
        from ops.gates import gate
        from ops.registry import model_card

        with contextlib.chdir(self.here):
            text = model_card.text(gate.judge())
            with replacing("model-card.md") as temporary:
                temporary.write_text(text)
        self.commit("Model card")
        return text

    def production(self) -> str | None:
        from ops.tags import production

        with contextlib.chdir(self.here):
            return production()


def work(verb: str, does: Callable[[], Any], folder: Path) -> Said:
    from core.runner import run_verb

    code, text = 0, io.StringIO()
    out, err = contextlib.redirect_stdout(text), contextlib.redirect_stderr(text)
    with contextlib.chdir(folder), out, err:
        try:
            run_verb(verb, does)
        except SystemExit as end:
            code = int(end.code or 0)
    return Said(code, text.getvalue())


@pytest.fixture(scope="module", autouse=True)
def _few_resamples() -> Iterator[None]:
    from ops.gates import bootstrap

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "TIMES", 40)
        patch.setenv("COLUMNS", "200")
        yield


@pytest.fixture(scope="module")
def ready(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A trained project with its card, pushed; nothing registered yet. Not to be changed."""
    world = World(tmp_path_factory.mktemp("ready") / trained.name)
    shutil.copytree(trained, world.here, symlinks=True)
    run("git", "init", "-q", "--bare", "-b", "main", str(world.origin), cwd=world.here)
    world.git("remote", "add", "origin", "../origin.git")
    world.card()
    world.git("push", "-q", "-u", "origin", "main")
    dvc("push", "-q", cwd=world.here)
    return world


@pytest.fixture(scope="module")
def story(ready: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A good model in production, then a bad one, which passed loose gates. Not to be changed."""
    world = again(ready, tmp_path_factory)
    assert "v1.0.0 is registered: the first version" in world("register", "--push")
    world("promote", "v1.0.0", "staging", "--push")
    world("promote", "v1.0.0", "production", "--push")
    settings(world, "params.yaml", "train", epochs=1, lr=1e-5)
    settings(world, "params.yaml", "model", members=1)
    for kind, one in LOOSE.items():
        settings(world, "gates.yaml", None, **{kind: one})
    world.git("rm", "-q", "--cached", "data/raw/sample.csv")
    dvc("add", "-q", "data/raw/sample.csv", cwd=world.here)
    dvc("repro", "-q", cwd=world.here)
    world.commit("A bad model")
    world.card()
    world.git("push", "-q", "origin", "main")
    dvc("push", "-q", cwd=world.here)
    told = world("register", "--push")
    assert "v1.1.0 is registered: parameters and gates.yaml changed since v1.0.0" in told
    assert f"compared with {GOOD}" in told
    world("promote", "v1.1.0", "production", "--push")
    return world


def settings(world: World, file: str, section: str | None, **values: Any) -> None:
    path = world.here / file
    content = yaml.safe_load(path.read_text())
    (content[section] if section else content).update(values)
    path.write_text(yaml.safe_dump(content, sort_keys=False))


def again(world: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    for one in (world.here, world.origin, world.storage):
        shutil.copytree(one, folder / one.name, symlinks=True)
    return World(folder / world.here.name)


@pytest.fixture
def new(ready: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Nothing is registered; to change as one likes."""
    return again(ready, tmp_path_factory)


@pytest.fixture
def world(story: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The bad model is in production; to change as one likes."""
    return again(story, tmp_path_factory)


# Back to the good one


def test_rollback_brings_the_good_model_back_and_the_gate_takes_it(world: World) -> None:
    assert world.production() == BAD
    told = run(sys.executable, "-m", "ops", "registry", "rollback", "production", "--push",
               cwd=world.here)  # fmt: skip
    assert "production back to v1.0.0, from v1.1.0" in told
    assert "model#production#4" in world.there()
    assert world.production() == GOOD
    assert run("gto", "show", "model#production", "--ref", cwd=world.here).strip() == GOOD

    from ops.gates import gate

    settings(world, "gates.yaml", None, regression={
        "other_rows": "rescore", "metrics": {"roc_auc": {"max_degradation": 0.02}}})  # fmt: skip
    with contextlib.chdir(world.here):
        verdict = gate.judge()
    assert (verdict["baseline"]["what"], verdict["baseline"]["name"]) == ("production", GOOD)
    assert verdict["verdict"] == "refused"  # the model that lies here is the bad one
    assert "first in production" in world("rollback", "production", "--push", code=2)


def test_what_is_where(story: World) -> None:
    told = story("show")
    assert re.search(r"staging\W+model@v1.0.0.*nothing", told)
    assert re.search(r"production\W+model@v1.1.0.*Ada.*v1.0.0", told)
    told = story()
    assert re.search(r"model@v1.1.0\W+production ", told)
    scores = json.loads(story.git("show", f"{GOOD}:metrics/quality.json"))
    says = f"roc_auc {scores['roc_auc']:.4f}, log_loss {scores['log_loss']:.4f}"
    assert re.search(rf"model@v1.0.0\W+staging .*{says}", told)
    assert story.git("rev-parse", f"{GOOD}^{{commit}}")[:10] in told


def test_rollback_waits_for_no_data_but_for_an_intact_model(world: World) -> None:
    lose(world, locked(world, GOOD, "data/prepared/train.parquet"))
    assert "train.parquet: want" in world("promote", "v1.0.0", "production", code=1)
    world("rollback", "production", "--push")
    assert world.production() == GOOD


def test_rollback_to_a_model_that_is_lost_is_refused(world: World) -> None:
    lose(world, locked(world, GOOD, "models/model.safetensors"))
    tags = world.tags()
    told = world("rollback", "production", "--push", code=1)
    assert "models/model.safetensors: want" in told
    assert "cannot be had" in told
    assert (world.tags(), world.production()) == (tags, BAD)


@pytest.mark.parametrize(
    ("done", "now", "before"),
    [
        ("", None, None),
        ("0", 0, None),
        ("01", 1, 0),
        ("012", 2, 1),
        ("010", 0, None),  # back from 1
        ("0121", 1, 0),  # back from 2
        ("01210", 0, None),  # and further back
        ("0102", 2, 0),  # 1 was left: no rollback returns to it
        ("0101", 1, 0),  # unless it is promoted again
        ("0120", 0, None),
        ("00", 0, None),
        ("01!1", 0, None),  # taken away by other means
        ("010!0", None, None),  # GTO would go on to 1, which was left
    ],
)
def test_who_came_before_whom(tmp_path: Path, done: str, now: Any, before: Any) -> None:
    """A digit promotes that version; after ! it is taken away."""
    from ops import tags

    run("git", "init", "-q", cwd=tmp_path)
    with contextlib.chdir(tmp_path):
        shas = []
        for n in range(3):
            run("git", "commit", "-q", "--allow-empty", "-m", f"{n}", cwd=tmp_path)
            shas.append(run("git", "rev-parse", "HEAD", cwd=tmp_path).strip())
            tags.put(f"model@v1.{n}.0", shas[n], "v\n", tags.read().last)
        for n, (taken, which) in enumerate(re.findall(r"(!?)(\d)", done), 1):
            tag = f"model#production{taken}#{n}"
            tags.put(tag, shas[int(which)], "x\n", tags.read().last)
        known = tags.read()
        there = tags.production()
        gto = run("gto", "show", "model#production", "--ref", cwd=tmp_path).strip()
    line = [one.number[1] for one in known.stages["production"]]
    assert line[-1:] == ([] if now is None else [now])
    assert line[-2:-1] == ([] if before is None else [before])
    assert there == (None if now is None else f"model@v1.{now}.0")
    assert gto == (there or "") or done == "010!0"  # within one second, without waiting


def test_each_rollback_goes_one_further_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ops import tags
    from ops.registry import lineage, verify

    monkeypatch.setattr(lineage, "recorded", lambda version: None)
    monkeypatch.setattr(verify, "verify", lambda *_, **__: [])
    world = World(tmp_path)
    (tmp_path / "dvc.yaml").touch()  # a project's folder has one
    world.git("init", "-q")
    for n in range(4):
        world.git("commit", "-q", "--allow-empty", "-m", f"{n}")
        with contextlib.chdir(tmp_path):
            tags.put(f"model@v1.{n}.0", "HEAD", "v\n", 0)
        world("promote", f"v1.{n}.0", "production")
    for n in (2, 1, 0):
        world("rollback", "production")
        assert world.production() == f"model@v1.{n}.0"
    world("rollback", "production", code=2)
    world("promote", "v1.3.0", "production")
    world("rollback", "production")
    assert world.production() == "model@v1.0.0"


# What is not as recorded


def locked(world: World, rev: str, path: str) -> str:
    """md5 of an output, by the dvc.lock of a revision."""
    content = yaml.safe_load(world.git("show", f"{rev}:dvc.lock"))
    outs = [out for one in content["stages"].values() for out in one["outs"]]
    return next(str(out["md5"]) for out in outs if out["path"] == path)


def objects(world: World, md5: str) -> list[Path]:
    """Where an object lies: in the cache, and in the storage."""
    name = f"files/md5/{md5[:2]}/{md5[2:]}"
    return [world.here / ".dvc/cache" / name, world.storage / name]


def lose(world: World, md5: str) -> None:
    for file in objects(world, md5):
        file.unlink()


def alter(file: Path) -> None:
    file.chmod(0o644)
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    file.chmod(stat.S_IREAD)


def alter_both(world: World, md5: str) -> None:
    for file in objects(world, md5):
        alter(file)


def recommit(world: World, file: str, before: str, after: str) -> None:
    """Move the tag, message and all, to a commit in which one file differs."""
    message = world.git("for-each-ref", "--format=%(contents)", f"refs/tags/{BAD}")
    path = world.here / file
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))
    world.commit("Altered")
    world.git("tag", "-f", "-a", "-m", message, BAD)


def reword(world: World, before: str, after: str) -> None:
    """Alter the tag's message."""
    message = world.git("for-each-ref", "--format=%(contents)", f"refs/tags/{BAD}")
    sha = world.git("rev-parse", f"{BAD}^{{commit}}")
    new = re.sub(before, after, message, count=1)
    assert new != message
    world.git("tag", "-f", "-a", "-m", new, BAD, sha)


def raw(world: World) -> str:
    content = yaml.safe_load((world.here / "data/raw/sample.csv.dvc").read_text())
    return str(content["outs"][0]["md5"])


MODEL = "models/model.safetensors"
TAMPERINGS: dict[str, tuple[Callable[[World], None], str]] = {
    "the model": (lambda w: alter_both(w, locked(w, BAD, MODEL)), MODEL),
    "a lost model": (lambda w: lose(w, locked(w, BAD, MODEL)), MODEL),
    "dvc.lock": (lambda w: recommit(w, "dvc.lock", locked(w, BAD, MODEL), "0" * 32), "dvc.lock"),
    "a broken dvc.lock": (
        lambda w: recommit(w, "dvc.lock", "stages:", "stages: 1\nx:"),
        "dvc.lock",
    ),
    "params.yaml": (lambda w: recommit(w, "params.yaml", "epochs: 1", "epochs: 9"), "params.yaml"),
    "scores": (
        lambda w: recommit(w, "metrics/quality.json", '"roc_auc": 0.', '"roc_auc": 0.9'),
        "metrics/quality.json",
    ),
    "the raw data": (lambda w: alter_both(w, raw(w)), "data/raw"),
    "the training rows": (
        lambda w: alter_both(w, locked(w, BAD, "data/prepared/train.parquet")),
        "data/prepared/train.parquet",
    ),
    "the tag's model": (lambda w: reword(w, r'("model": ")....', r"\1abcd"), "in dvc.lock"),
    "the tag's data": (lambda w: reword(w, r'("data": ")....', r"\1abcd"), "data/raw"),
    "the tag's scores": (lambda w: reword(w, r'("roc_auc": 0.)', r"\g<1>9"), "scores in the tag"),
    "the tag's commit": (lambda w: reword(w, r'("commit": ")....', r"\1abcd"), "commit"),
    "no lineage": (lambda w: reword(w, r"(?s)\{.*", ""), "holds no lineage"),
    "half a lineage": (lambda w: reword(w, r'"data": "[^"]*",', ""), "holds no lineage"),
}


@pytest.mark.parametrize("what", TAMPERINGS)
def test_a_version_that_is_not_as_recorded_is_refused(world: World, what: str) -> None:
    tamper, named = TAMPERINGS[what]
    world.git("checkout", "-q", "-b", "elsewhere")
    tamper(world)
    tags = world.tags()
    told = world("promote", "v1.1.0", "staging", code=1)
    assert BAD in told
    assert named in told.split("\n", 1)[0 if "lineage" in what else 1]
    assert world.tags() == tags
    assert BAD in world("lineage", "v1.1.0", code=1)


def test_rollback_is_refused_where_tag_and_lock_tell_of_other_data(world: World) -> None:
    sha = world.git("rev-parse", f"{GOOD}^{{commit}}")
    message = world.git("for-each-ref", "--format=%(contents)", f"refs/tags/{GOOD}")
    message = re.sub(r'("data": ")....', r"\1abcd", message)
    world.git("tag", "-f", "-a", "-m", message, GOOD, sha)
    assert "data/raw in dvc.lock: want abcd" in world("rollback", "production", code=1)


@pytest.mark.parametrize(
    ("file", "before", "after", "what"),
    [
        ("pipeline/train.py", "import", "import  ", "pipeline/train.py"),
        ("schema.yaml", "coerce: false", "coerce: true", "schema.yaml"),
        ("params.yaml", "patience: 10", "patience: 11", "params.yaml: train"),
        ("reports/slices.json", '"rows": 1466', '"rows": 1467', "reports/slices.json"),
    ],
)
def test_a_lock_of_other_code_or_settings_proves_nothing(
    new: World, file: str, before: str, after: str, what: str
) -> None:
    """What is recorded is that of the commit, but dvc.lock has run with something else."""
    from ops.checkout import checkout
    from ops.registry import lineage, verify

    edit(new, file, before, after)
    new.commit()
    with contextlib.chdir(new.here):
        record = lineage.record("v1.0.0", checkout("HEAD", exact=True, fresh=True), None)
        bad = [row.what for row in verify.verify(record, "HEAD") if not row.ok]
    assert bad == [what]


def test_raw_data_that_is_a_folder_of_batches(new: World) -> None:
    from ops.checkout import checkout
    from ops.registry import lineage, verify

    new.git("rm", "-q", "--cached", "data/raw/sample.csv")
    (new.here / "data/raw/loans").mkdir()
    (new.here / "data/raw/sample.csv").rename(new.here / "data/raw/loans/batch 1.csv")
    settings(new, "params.yaml", "data", path="data/raw/loans")
    dvc("add", "-q", "data/raw/loans", cwd=new.here)
    dvc("repro", "-q", "prepare", cwd=new.here)
    new.commit()
    pointer = yaml.safe_load((new.here / "data/raw/loans.dvc").read_text())
    listing = objects(new, pointer["outs"][0]["md5"])[0]
    batch = objects(new, json.loads(listing.read_text())[0]["md5"])[0]

    def bad() -> list[str]:
        record = lineage.record("v1.0.0", checkout("HEAD", exact=True, fresh=True), None)
        return [row.what for row in verify.verify(record, "HEAD") if not row.ok]

    with contextlib.chdir(new.here):
        assert bad() == []
        laid = new.here / ".dvc/tmp/base"
        assert not list(laid.rglob("batch 1.csv"))  # nor is it copied for that
        alter(batch)
        assert bad() == ["data/raw"]
        batch.unlink(missing_ok=True)  # DVC may have done so itself
        assert bad() == ["data/raw"]
        dvc("add", "-q", "data/raw/loans", cwd=new.here)
        assert bad() == []
        listing.unlink()
        batch.unlink()
        assert bad() == ["data/raw"]


def test_without_the_check_all_would_be_promoted(
    story: World, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutation: the refusals above come from the comparison, and from nothing else."""
    from ops.registry import verify

    monkeypatch.setattr(verify, "refuse", lambda tag, rows: None)
    world = again(story, tmp_path_factory)
    alter_both(world, locked(world, BAD, MODEL))
    world("promote", "v1.1.0", "staging")


def test_what_lay_there_from_before_proves_nothing(world: World) -> None:
    world("lineage", "v1.1.0")
    (laid,) = (world.here / ".dvc/tmp/base").glob(f"{world.git('rev-parse', BAD + '^{}')[:12]}")
    (laid / "params.yaml").write_text("altered: here\n")
    alter(laid / MODEL)
    world("lineage", "v1.1.0")


def test_an_altered_cache_is_mended_from_the_storage_or_refused(world: World) -> None:
    alter(objects(world, locked(world, BAD, MODEL))[0])
    found = run(sys.executable, "-m", "ops", "registry", "lineage", BAD, cwd=world.here,
                code=int(not mended(world)))  # fmt: skip
    assert MODEL in found


def mended(world: World) -> bool:
    from core.files import md5
    from ops import checkout

    with contextlib.chdir(world.here):
        laid = checkout.checkout(BAD, exact=True)
        return md5(laid.folder / MODEL) == locked(world, BAD, MODEL)


def test_from_a_clone_alone_to_the_exact_data_and_model(world: World) -> None:
    """Nothing is in its cache: all comes from origin and the storage."""
    clone = world._replace(here=world.here.parent / "clone")
    run("git", "clone", "-q", "origin.git", "clone", cwd=world.here.parent)
    told = clone("lineage", "production")
    for what in ("params.yaml", "dvc.lock", "metrics/quality.json", MODEL, "data/raw"):
        assert re.search(rf"{what} .*the same", told), what
    commands = told.split("to have it here:\n")[1].splitlines()
    assert len(commands) == 3
    for command in commands:
        told = run("bash", "-c", command, cwd=clone.here)
    assert "up to date" in told
    assert (clone.here / "data/raw/sample.csv").read_bytes() == inside.SAMPLE.read_bytes()


def test_a_tag_that_was_moved_makes_no_other_version_the_one_in_production(world: World) -> None:
    from core.errors import Problem

    recommit(world, "params.yaml", "epochs: 1", "epochs: 9")
    with pytest.raises(Problem, match="model#production#3 is of a commit that is no version"):
        world.production()
    for verb in ("", "show", "lineage production", "rollback production"):
        told = world(*verb.split(), code=2)
    assert "git fetch --tags --force origin" in told
    again = World(shutil.copytree(world.here, world.here.parent / "again"))
    again.git("fetch", "-q", "--tags", "--force", "origin")
    assert again.production() == BAD
    world("promote", "v1.0.0", "production")
    assert world.production() == GOOD


# Others


def test_a_shallow_clone_is_refused_until_it_is_mended(world: World) -> None:
    run("git", "clone", "-q", "--depth", "1", f"file://{world.origin}", "clone",
        cwd=world.here.parent)  # fmt: skip
    clone = world._replace(here=world.here.parent / "clone")
    for verb in ("", "show", "lineage production", "register --push", "promote v1.0.0 staging",
                 "rollback production --push"):  # fmt: skip
        told = clone(*verb.split(), code=2)
        assert "this clone is shallow" in told
    mend = told.split("; ")[-1].strip()
    assert mend == "git fetch --unshallow --tags"
    run(*mend.split(), cwd=clone.here)
    clone("rollback", "production", "--push")
    assert "model#production#4" in clone.there()


def test_who_pushes_later_is_told_and_nothing_half_done_stays(world: World) -> None:
    tags = world.tags()
    hook = world.here / ".git/hooks/pre-push"  # in the moment between looking and pushing
    hook.write_text(
        f"#!/bin/sh\nunset GIT_DIR\ncd {world.origin}\n"
        f"git -c user.name=Bo -c user.email=b@x tag -a -m x 'model#production#4' '{BAD}'\n"
    )
    hook.chmod(0o755)
    told = world("rollback", "production", "--push", code=2)
    assert "someone else was faster: origin has another model#production#4" in told
    assert world.tags() == tags
    hook.unlink()
    world("rollback", "production", "--push")
    assert "model#production#5" in world.there()
    assert world.production() == GOOD


def test_a_tag_that_origin_has_otherwise_is_found_before_anything_is_done(world: World) -> None:
    world("promote", "v1.0.0", "production")
    other = world._replace(here=world.here.parent / "clone")
    run("git", "clone", "-q", "origin.git", "clone", cwd=world.here.parent)
    other("promote", "v1.1.0", "staging", "--push")
    world.git("tag", "-f", "-a", "-m", "mine", "model#staging#4", GOOD)
    told = world("promote", "v1.1.0", "staging", "--push", code=2)
    assert "git tag -d 'model#staging#4' && git fetch --tags origin" in told


def test_an_origin_that_takes_nothing_leaves_nothing(world: World) -> None:
    tags = world.tags()
    hook = world.origin / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho only robots may push tags\nexit 1\n")
    hook.chmod(0o755)
    told = world("rollback", "production", "--push", code=2)
    assert "only robots may push tags" in told
    assert world.tags() == tags
    world.git("remote", "set-url", "origin", "../nowhere.git")
    assert "git fetch origin" in world("rollback", "production", "--push", code=2)
    assert world.tags() == tags


def test_unknown_names(story: World) -> None:
    assert "did you mean 'v1.0.0'" in story("promote", "1.0.00", "production", code=2)
    assert "did you mean 'production'" in story("promote", "v1.0.0", "produktion", code=2)
    assert "want staging or production" in story("rollback", "xyz", code=2)
    assert "no such version" in story("lineage", "v9", code=2)


def test_the_same_version_again_changes_nothing(world: World) -> None:
    tags = world.tags()
    assert f"{BAD} is in production already" in world("promote", BAD, "production", "--push")
    assert world.tags() == tags


def test_a_promotion_that_was_not_pushed_can_be_pushed_later(world: World) -> None:
    assert "only in this clone: git push origin" in world("promote", "v1.1.0", "staging")
    assert "model#staging#4" not in world.there()
    world("promote", "v1.1.0", "staging", "--push")
    assert "model#staging#4" in world.there()


# What may be registered


def test_nothing_is_in_production_at_first(new: World) -> None:
    assert new.production() is None
    assert "no version yet" in new()
    assert re.search(r"production\W+nothing", new("show"))
    assert "nothing is in production" in new("rollback", "production", code=2)
    assert "none is registered yet" in new("promote", "v1.0.0", "production", code=2)
    assert "compared with linear baseline" in new("register")  # which must be beaten
    assert "this commit is model@v1.0.0 already" in new("register", "--push")
    assert new.tags() == new.there() == {GOOD}
    new.git("commit", "-q", "--allow-empty", "-m", "Words")
    assert "the model here is that of model@v1.0.0: nothing to register" in new("register")
    assert new.tags() == {GOOD}


def edit(world: World, file: str, before: str = "", after: str = "x") -> None:
    path = world.here / file
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after, 1) if before else after)


def out_of_step(world: World) -> None:
    edit(world, "params.yaml", "patience: 10", "patience: 11")
    world.commit()


def other_gates(world: World) -> None:
    edit(world, "gates.yaml", "{min: 0.75,", "{min: 0.99,")
    world.commit()


def too_strict(world: World) -> None:
    other_gates(world)
    world.card()
    world.git("push", "-q", "origin", "main")


def unmerged(world: World) -> None:
    world.git("commit", "-q", "--allow-empty", "-m", "On a branch")


def another_model(world: World) -> None:
    (world.here / MODEL).unlink()
    shutil.copy(world.here / "models/baseline.safetensors", world.here / MODEL)


REFUSALS: dict[str, tuple[Callable[[World], object], str, str]] = {
    "not committed": (lambda w: edit(w, "notes.txt") if (w.here / "notes.txt").touch() is None
                      else None, "not committed: notes.txt", "git commit"),
    "no card": (lambda w: (w.git("rm", "-q", "model-card.md"), w.commit()),
                "no model-card.md", "ml card"),
    "another card": (other_gates, "model-card.md was not written of this gates.yaml",
                     "ml card"),
    "out of step": (out_of_step, "train: changed since it ran: params.yaml: train", "dvc repro"),
    "no lock": (lambda w: (w.git("rm", "-q", "dvc.lock"), w.commit()), "no dvc.lock", "dvc repro"),
    "another model here": (another_model, "models/model.safetensors is not the one that dvc.lock",
                           "dvc checkout -f models/model.safetensors"),
    "no model here": (lambda w: (w.here / MODEL).unlink(), "safetensors is not here", "dvc pull"),
    "not on main": (unmerged, "not on origin/main", "git push origin"),
    "not in the storage": (lambda w: shutil.rmtree(w.storage), "not in the storage", "dvc push"),
    "a broken lock": (lambda w: (edit(w, "dvc.lock", "stages:", "stages: 1\nx:"), w.commit()),
                      "dvc.lock", "doctor"),
    "gates refuse": (too_strict, "the gates refuse this model: roc_auc", "ml gate"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSALS)
def test_what_is_not_fit_is_not_registered(new: World, what: str) -> None:
    spoil, says, mend = REFUSALS[what]
    spoil(new)
    told = new("register", "--push", code=1 if what == "gates refuse" else 2)
    assert says in told
    assert mend in told
    assert not new.tags() | new.there()


def test_a_hand_written_card_is_no_card(new: World) -> None:
    (new.here / "model-card.md").write_text("# A fine model\n")
    new.commit()
    assert "was not written of this models/model.safetensors" in new("register", code=2)


CHANGES = {
    "data": ({"dvc.lock": ("REWRITE", "")}, "v1.0.1", "only the data changed since v1.0.0"),
    "where it lies": ({"dvc.lock": ("REWRITE", ""), "params.yaml": ("sample.csv", "sample")},
                      "v1.0.1", "only the data changed"),
    "a comment": ({"params.yaml": ("# the column to predict", "# another word")}, "v1.0.1", "data"),
    "parameters": ({"params.yaml": ("patience: 10", "patience: 9")}, "v1.1.0", "parameters"),
    "code": ({"dvc.lock": ("CODE", "")}, "v1.1.0", "code changed since v1.0.0"),
    "the contract": ({"schema.yaml": ("coerce: false", "coerce: true")}, "v1.1.0", "schema"),
    "gates": ({"gates.yaml": ("0.75", "0.76")}, "v1.1.0", "gates.yaml"),
    "packages": ({"requirements.txt": ("gto==", "gto>=")}, "v1.1.0", "packages"),
}  # fmt: skip


@pytest.fixture(scope="module")
def registered(ready: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    world = again(ready, tmp_path_factory)
    world("register")
    return world


@pytest.mark.parametrize("what", CHANGES)
def test_the_next_version(registered: World, what: str) -> None:
    from ops import tags
    from ops.checkout import checkout
    from ops.registry import register

    edits, name, why = CHANGES[what]
    first = registered.git("rev-parse", f"{GOOD}^{{commit}}")
    registered.git("checkout", "-q", "-B", "next", first)
    lock = yaml.safe_load((registered.here / "dvc.lock").read_text())
    deps = {one["path"]: one["md5"] for one in lock["stages"]["train"]["deps"]}
    data = {one["path"]: one["md5"] for one in lock["stages"]["prepare"]["deps"]}["data/raw"]
    stand = {"REWRITE": (data, "f" * 32 + ".dir"), "CODE": (deps["pipeline/train.py"], "f" * 32)}
    for file, change in edits.items():
        edit(registered, file, *stand.get(change[0], change))
    registered.commit(what)
    with contextlib.chdir(registered.here):
        last = tags.read().versions[-1]
        laid = checkout("HEAD", exact=True, fresh=True)
        found = register._next(last, laid, "auto")
        assert found[0] == name
        assert why in found[1]
        asked = {bump: register._next(last, laid, bump)[0] for bump in register.BUMPS}
    assert asked == {"patch": "v1.0.1", "minor": "v1.1.0", "major": "v2.0.0"}


# The card


def test_the_card_tells_facts(ready: World) -> None:
    text = (ready.here / "model-card.md").read_text()
    scores = json.loads((ready.here / "metrics/quality.json").read_text())
    slices = json.loads((ready.here / "reports/slices.json").read_text())["slices"]
    profile = json.loads((ready.here / "reports/profile.json").read_text())
    assert "the probability that `defaulted` is `1`" in text
    assert "It does not see: `defaulted` (the answer), `application_id`" in text
    assert "`applied_on`: 2023-01-01 to 2024-12-30." in text
    assert f"{sum(profile['rows'].values()):,} rows" in text
    for name, value in scores.items():
        if not isinstance(value, dict):
            row = re.search(rf"\| `{name}` \| (\S+) \| (\S+) to (\S+) \| 95% \|", text)
            assert row, name
            assert float(row[1]) == pytest.approx(value, abs=1e-4)
            assert float(row[2]) < float(row[1]) < float(row[3])
    for attribute, groups in slices.items():
        for group, one in groups.items():
            assert f"| `{attribute}` | `{group}` | {one['rows']:,} |" in text
    for gate in ("performance", "fairness", "latency", "regression", "stability"):
        assert f"| {gate} |" in text
    assert "By `gates.yaml`: **passed**." in text
    assert locked(ready, "HEAD", MODEL) in text
    assert "reports/evaluation.png" in text
    drawn = re.findall(r"\*\*(\w+)\*\* \(.*\)\n\n```mermaid", text)
    assert drawn == ["Training", "ROC", "Calibration"]


def test_the_same_facts_give_the_same_bytes(ready: World) -> None:
    from ops.gates import gate
    from ops.registry import model_card

    with contextlib.chdir(ready.here):
        verdict = gate.judge()
        assert model_card.text(verdict) == model_card.text(verdict)


def test_the_command_writes_it_and_refuses_another_model(new: World) -> None:
    from ops.registry import model_card

    (new.here / "model-card.md").unlink()
    assert work("card", model_card.main, new.here).code == 0
    assert (new.here / "model-card.md").read_text().startswith("# Model card: `credit-risk`")
    another_model(new)
    said = work("card", model_card.main, new.here)
    assert said.code == 2
    assert "not the one that dvc.lock names" in said.text


def test_what_is_off_or_refused_stands_in_the_card(story: World) -> None:
    from ops.gates import gate
    from ops.registry import model_card

    text = (story.here / "model-card.md").read_text()
    assert "Not judged, `off` in `gates.yaml`: `calibration`, `regression`" in text
    with contextlib.chdir(story.here):
        verdict = gate.judge()
        verdict["gates"][0] |= {"passed": False, "about": "<b>|[x](y)"}
        text = model_card.text(verdict | {"verdict": "refused"})
    assert "**refused**" in text
    assert "| performance | `<b>`&#124;`[x](y)` |" in text


def test_each_file_that_changes_makes_the_card_stale(ready: World) -> None:
    from core.paths import CARD
    from ops.checkout import checkout
    from ops.registry import lineage, model_card

    text = (ready.here / "model-card.md").read_text()
    with contextlib.chdir(ready.here):
        record = lineage.record("v1.0.0", checkout("HEAD", exact=True, fresh=True), None)
    assert model_card.stale(text, record) == []
    for name in (*record.files, "model", "data"):
        files = {name: "0" * 32} if name in record.files else {}
        other = {} if files else {name: "0" * 32}
        changed = record.model_copy(update={"files": {**record.files, **files}, **other})
        wanted = {"model": MODEL, "data": "data/raw"}.get(name, name)
        assert model_card.stale(text, changed) == ([] if name == str(CARD) else [wanted])
