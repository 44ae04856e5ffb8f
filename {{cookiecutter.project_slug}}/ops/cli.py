"""`ml VERB`: everything around the model. Each verb imports what it needs when it runs."""

import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Never

import typer
from typer.core import TyperGroup

from core.errors import Problem, nearest
from core.paths import PIPELINE
from core.runner import run_verb


class Verbs(TyperGroup):
    """Verbs under the heading of their panel; for an unknown one, the nearest is named."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the verbs, one line each. Plain text: Rich alone takes longer to import."""
        width = max(map(len, self.commands))
        panels: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.commands.items():
            panel = getattr(command, "rich_help_panel", None) or "Verbs"
            about = (command.help or "").splitlines()[0]
            panels.setdefault(panel, []).append((name.ljust(width), about))
        for panel, rows in panels.items():
            with formatter.section(panel):
                formatter.write_dl(rows)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The verb that the first word names. Exits 2 where there is none."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            path = ctx.command_path
            print(
                f"{path}: no verb {args[0]!r}{nearest(args[0], self.commands)}; "
                f"`{path} --help` lists them",
                file=sys.stderr,
            )
            sys.exit(2)
        return super().resolve_command(ctx, args)


def group(about: str, **options: Any) -> typer.Typer:
    """A set of verbs."""
    return typer.Typer(
        cls=Verbs,
        help=about,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        **options,
    )


app = group(
    "Everything around the model. Exit status: 0 done or passed, 1 refused, 2 could not tell.",
    no_args_is_help=True,
)
ALONE: dict[str, Any] = {"invoke_without_command": True, "add_completion": False}
registry = group("Versions: list, show, register, promote, rollback, lineage.", **ALONE)
machine = group("Where training runs: show, launch, reap.", **ALONE)
app.add_typer(registry, name="registry", rich_help_panel="Release")
app.add_typer(machine, name="machine", rich_help_panel="Machines")

START, JUDGE, USE, FRESH = "Start", "Judge", "Use", "Keep fresh"
RELEASE, MACHINES = "Release", "Machines"
Rev = Annotated[str | None, typer.Option(metavar="REV")]
Column = Annotated[str | None, typer.Option(metavar="COL")]
Columns = Annotated[list[str] | None, typer.Option(metavar="COL")]
Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]
Push = Annotated[bool, typer.Option("--push", help="bring the tag to origin")]


class Task(StrEnum):
    """What a model predicts."""

    binary = "binary"
    multiclass = "multiclass"
    regression = "regression"


class Cloud(StrEnum):
    """Where machines are hired."""

    aws = "aws"
    gcp = "gcp"
    azure = "azure"


class Bump(StrEnum):
    """Which part of the version number goes up."""

    auto = "auto"
    patch = "patch"
    minor = "minor"
    major = "major"


def verb(name: str, work: Callable[[], Any]) -> None:
    """Run a verb in a project's folder; every mistake is one message and an exit status."""

    def here() -> None:
        if not PIPELINE.is_file():
            inside = next(
                (folder for folder in Path.cwd().parents if (folder / PIPELINE).is_file()), None
            )
            raise Problem(f"no {PIPELINE} here: cd {inside or 'to the folder of your project'}")
        work()

    run_verb(name, here)


@app.command(rich_help_panel=START)
def adopt(
    file: Annotated[
        str, typer.Argument(help="CSV (also .gz, .zst) or Parquet; a file or a folder")
    ],
    target: Annotated[str, typer.Option(metavar="COL", help="the column to predict")],
    task: Annotated[Task | None, typer.Option(help="inferred from the target unless given")] = None,
    id: Annotated[
        str | None, typer.Option(metavar="COL", help="identifies a row; rows are split by its hash")
    ] = None,
    time: Annotated[str | None, typer.Option(metavar="COL", help="when the row came to be")] = None,
    label_time: Annotated[
        str | None, typer.Option(metavar="COL", help="when its label was known")
    ] = None,
    group: Annotated[
        str | None, typer.Option(metavar="COL", help="its rows stay on one side of the split")
    ] = None,
    protected: Annotated[
        list[str] | None, typer.Option(metavar="COL", help="scores are reported by its groups")
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option(metavar="COL", help="the model must not see it")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="show the edits, write nothing")
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring your own data: the YAML files are written to fit it."""

    def work() -> None:
        from ops.adopt.adopt import adopt
        from ops.adopt.arguments import Arguments

        adopt(
            Arguments(
                file,
                target,
                task and task.value,
                id,
                time,
                label_time,
                group,
                protected or [],
                drop or [],
                dry_run,
                as_json=as_json,
            )
        )

    verb("adopt", work)


@app.command(rich_help_panel=START)
def doctor(
    offline: Annotated[bool, typer.Option("--offline", help="skip what needs the network")] = False,
    as_json: Json = False,
) -> None:
    """Can this checkout run and publish? If not, what fixes it."""

    def work() -> None:
        from ops.doctor.doctor import main

        main(offline, as_json)

    verb("doctor", work)


@app.command(rich_help_panel=JUDGE)
def gate(
    baseline: Annotated[
        str | None, typer.Option(metavar="REV", help="default: production, else main")
    ] = None,
    show_all: Annotated[bool, typer.Option("--all", help="every check, not only failures")] = False,
    as_json: Json = False,
) -> None:
    """Judge the model by gates.yaml."""

    def work() -> None:
        from ops.gates.gate import main

        main(baseline, show_all, as_json)

    verb("gate", work)


@app.command(rich_help_panel=JUDGE)
def report(
    base: Annotated[
        str | None,
        typer.Option(metavar="REV", help="compare with where this branch left it [origin/main]"),
    ] = None,
    html: Annotated[bool, typer.Option("--html", help="also as a page to look at")] = False,
    output: Annotated[Path, typer.Option(metavar="FILE")] = Path("reports/report.md"),
    log: Annotated[
        Path | None, typer.Option(metavar="FILE", help="what `dvc repro` printed")
    ] = None,
    as_json: Json = False,
) -> None:
    """What a pull request would say: this branch against main."""

    def work() -> None:
        from ops.report.report import main

        main(base, html, output, log, as_json)

    verb("report", work)


@app.command(rich_help_panel=JUDGE)
def compare(as_json: Json = False) -> None:
    """This commit and its experiments, best first."""

    def work() -> None:
        from ops.compare import main

        main(as_json)

    verb("compare", work)


@app.command(rich_help_panel=JUDGE)
def checkout(
    rev: Annotated[str | None, typer.Argument(help="default: origin/main")] = None,
    train: Annotated[bool, typer.Option("--train", help="train it where it has no model")] = False,
) -> None:
    """Check out the commit that this branch is compared with."""

    def work() -> None:
        from ops.checkout import main

        main(rev, train)

    verb("checkout", work)


@app.command(rich_help_panel=USE)
def predict(
    source: Annotated[
        str,
        typer.Argument(metavar="IN", help="CSV (also .gz, .zst) or Parquet; file, folder, s3://"),
    ],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="CSV or Parquet, with the answers")],
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="version, stage or file; default: the one in models/"),
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="write the good rows, the others apart with reasons")
    ] = False,
    as_json: Json = False,
) -> None:
    """Score new rows: a copy of the table with the model's answers."""

    def work() -> None:
        from ops.serving.predict import main

        main(source, output, model, skip_bad, as_json)

    verb("predict", work)


@app.command(rich_help_panel=FRESH)
def ingest(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="CSV, Parquet, or a folder")
    ],
    as_json: Json = False,
) -> None:
    """Add a batch of new data; a refused one goes to quarantine."""

    def work() -> None:
        from ops.monitoring.ingest import main

        main(files, as_json)

    verb("ingest", work)


@app.command(rich_help_panel=FRESH)
def drift(
    live: Annotated[str, typer.Option(metavar="FILE|FOLDER", help="CSV or Parquet")],
    reference: Annotated[
        str | None, typer.Option(metavar="REV", help="default: production, else HEAD")
    ] = None,
    report_only: Annotated[bool, typer.Option("--report-only", help="drift is no failure")] = False,
    as_json: Json = False,
) -> None:
    """Has the live data, or what the model predicts on it, drifted?"""

    def work() -> None:
        from ops.monitoring.drift import main

        main(live, reference, report_only, as_json)

    verb("drift", work)


@app.command(rich_help_panel=FRESH)
def trigger(
    force: Annotated[
        bool, typer.Option("--force", help="retrain, whatever the triggers say")
    ] = False,
    why: Annotated[str, typer.Option(help="the reason, with --force")] = "forced",
    as_json: Json = False,
) -> None:
    """Is it time to retrain the model in production, by retrain.yaml?"""

    def work() -> None:
        from ops.monitoring.trigger import main

        main(why if force else "", as_json)

    verb("trigger", work)


@app.command(rich_help_panel=RELEASE)
def card() -> None:
    """Write model-card.md, for the commit that is registered."""

    def work() -> None:
        from ops.registry.model_card import main

        main()

    verb("card", work)


@registry.callback()
def registry_default(ctx: typer.Context) -> None:
    """Versions: list, show, register, promote, rollback, lineage; alone, `list`."""
    if not ctx.invoked_subcommand:
        registry_list()


@registry.command("list")
def registry_list(as_json: Json = False) -> None:
    """Every version, newest first."""

    def work() -> None:
        from ops.registry.registry import listing

        listing(as_json)

    verb("registry", work)


@registry.command("show")
def registry_show(as_json: Json = False) -> None:
    """What is in production and staging."""

    def work() -> None:
        from ops.registry.registry import show

        show(as_json)

    verb("registry", work)


@registry.command("register")
def registry_register(
    bump: Annotated[
        Bump, typer.Option(help="auto: patch when only the data changed, else minor")
    ] = Bump.auto,
    push: Push = False,
    as_json: Json = False,
) -> None:
    """Make this commit a version, if its gates pass."""

    def work() -> None:
        from ops.registry.register import register

        register(bump.value, push, as_json)

    verb("registry", work)


@registry.command("promote")
def registry_promote(version: str, stage: str, push: Push = False) -> None:
    """Put a version in a stage: staging or production."""

    def work() -> None:
        from ops.registry.registry import promote

        promote(version, stage, push)

    verb("registry", work)


@registry.command("rollback")
def registry_rollback(stage: str, push: Push = False) -> None:
    """Put back the version that was in a stage before."""

    def work() -> None:
        from ops.registry.registry import rollback

        rollback(stage, push)

    verb("registry", work)


@registry.command("lineage")
def registry_lineage(
    what: Annotated[str, typer.Argument(metavar="VERSION|STAGE")],
    as_json: Json = False,
) -> None:
    """Where a version comes from, every md5 computed again."""

    def work() -> None:
        from ops.registry.registry import trace

        trace(what, as_json)

    verb("registry", work)


@machine.callback()
def machine_default(ctx: typer.Context) -> None:
    """Where training runs: show, launch, reap; alone, `show`."""
    if not ctx.invoked_subcommand:
        machine_show()


@machine.command("show")
def machine_show(
    event: Annotated[
        str | None, typer.Option(metavar="FILE", help="GitHub's event [$GITHUB_EVENT_PATH]")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="instead of an event: a pull request's labels")
    ] = None,
    as_json: Json = False,
) -> None:
    """Which machine trains, in words, and for the workflow."""

    def work() -> None:
        from ops.machines.machine import main

        main(event, label, as_json)

    verb("machine", work)


@machine.command("launch")
def machine_launch(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="print the command, run nothing")
    ] = False,
) -> None:
    """Hire the machine for one job of this workflow run, through CML."""

    def work() -> None:
        from ops.machines.launch import main

        main(dry_run)

    verb("launch", work)


@machine.command("reap")
def machine_reap(
    delete: Annotated[bool, typer.Option("--delete", help="do it; otherwise say it only")] = False,
    cloud: Annotated[Cloud | None, typer.Option(help="default: machine.yaml's")] = None,
) -> None:
    """End hired machines that have outlived their time."""

    def work() -> None:
        from ops.machines.reap import main

        main(delete, cloud and cloud.value)

    verb("reap", work)


@app.command(rich_help_panel=MACHINES)
def bootstrap(
    email: Annotated[str, typer.Option(help="who gets an email when the budget is used up")],
    github_repository: Annotated[
        str | None, typer.Option(metavar="OWNER/NAME", help="default: origin")
    ] = None,
    region: Annotated[str | None, typer.Option(help="default: that of machine.yaml")] = None,
    bucket: Annotated[str | None, typer.Option(help="default: that of .dvc/config")] = None,
    budget: Annotated[int, typer.Option(metavar="USD", help="per month")] = 100,
    subnet: Annotated[
        str | None, typer.Option(help="default: one of the account's default network")
    ] = None,
    ssh_from: Annotated[str, typer.Option(metavar="CIDR")] = "0.0.0.0/0",
    subject: Annotated[str | None, typer.Option(help="default: what GitHub says")] = None,
    stack: Annotated[str | None, typer.Option(metavar="NAME", help="default: NAME-infra")] = None,
    variables: Annotated[
        bool, typer.Option("--variables", help="set the repository's variables by gh")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be done")] = False,
) -> None:
    """Make the AWS account ready for this repository: one stack."""

    def work() -> None:
        from ops.machines.bootstrap import Asked, main

        main(
            Asked(
                email,
                github_repository,
                region,
                bucket,
                budget,
                subnet,
                ssh_from,
                subject,
                stack,
                variables,
                dry_run,
            )
        )

    verb("bootstrap", work)


def main() -> Never:
    """Run the verb that the command line names and exit."""
    try:
        sys.exit(app(prog_name="ml", standalone_mode=False) or 0)
    except Exception as error:
        # click's errors of usage, of which typer makes no public class
        text = getattr(error, "format_message", lambda: None)()
        if text is None:
            raise
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "ml"
        if "\n" not in text:
            text = f"{path}: {text.rstrip('.')}; `{path} --help` explains"
        print(text, file=sys.stderr)
        sys.exit(2)
