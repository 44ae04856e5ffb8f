"""Checkpoints beside DVC's storage: a machine that is taken away does not take them along.

Only where KEEP_CHECKPOINTS=true, as the workflows have it on hired machines.
"""

import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from core.dvc_config import remote_url

SECONDS = 60.0  # between two uploads
FOLDER = "checkpoints"


class CheckpointUpload:
    """The copy of one training's checkpoint; where it cannot be reached, training goes on."""

    def __init__(self, path: Path, key: str) -> None:
        self.path, self.sent = path, -SECONDS
        self.sending: threading.Thread | None = None
        url = remote_url() if os.environ.get("KEEP_CHECKPOINTS") == "true" else ""
        if url and "://" not in url:
            url = os.path.normpath(Path(".dvc", url))  # DVC reads it so
        self.url = f"{url}/{FOLDER}/{key[:32]}.safetensors" if url else ""

    def fetch(self) -> None:
        """Bring the copy here where there is one and nothing is here yet."""
        if self.url and not self.path.exists():
            self._try("fetched", self._get)

    def send(self) -> None:
        """Copy the checkpoint, in the background and not more often than every minute."""
        busy = self.sending is not None and self.sending.is_alive()
        if not self.url or busy or time.monotonic() - self.sent < SECONDS:
            return
        self.sent = time.monotonic()
        content = self.path.read_bytes()  # before the next epoch replaces it
        self.sending = threading.Thread(target=self._put, args=(content,), daemon=True)
        self.sending.start()

    def _get(self, files: Any, there: str) -> None:
        if files.exists(there):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            files.get(there, str(self.path))

    def _put(self, content: bytes) -> None:
        def put(files: Any, there: str) -> None:
            files.makedirs(os.path.dirname(there), exist_ok=True)
            with files.transaction, files.open(there, "wb") as file:  # all of it or nothing
                file.write(content)

        self._try("kept", put)

    def _try(self, what: str, work: Any) -> None:
        import fsspec

        try:
            work(*fsspec.url_to_fs(self.url, skip_instance_cache=True))
        except Exception as error:
            print(
                f"train: checkpoint not {what} at {self.url}: {str(error)[:200]}", file=sys.stderr
            )
