"""`ml VERB`, also as `python -m ops VERB`: says what is missing before `make setup`."""

import sys


def main() -> None:
    """Run the verb; exit 2 in one line where this Python cannot."""
    if sys.version_info < (3, 11):  # noqa: UP036 an older one is refused here
        version = sys.version.split()[0]
        print(f"ml: Python 3.11 or newer is needed; this is {version}: make setup", file=sys.stderr)
        sys.exit(2)
    try:
        from ops.cli import main as run

        run()
    except ModuleNotFoundError as error:
        if str(error.name).split(".")[0] in ("core", "ops", "pipeline"):
            raise
        then = "make setup, then . .venv/bin/activate"
        print(f"ml: {error.name} is not installed for this Python: {then}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
