"""What .dvc/config says, read without DVC."""

import configparser
from pathlib import Path


def remote_url(config: str | Path = ".dvc/config") -> str:
    """The address of DVC's default remote as .dvc/config has it; "" where there is none."""
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(config, encoding="utf-8")
    remote = f"'remote \"{settings.get('core', 'remote', fallback='')}\"'"
    return settings.get(remote, "url", fallback="")
