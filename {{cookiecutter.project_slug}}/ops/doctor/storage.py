"""The DVC remote: whether it is set as it should be, answers, and what it holds."""

import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tqdm import tqdm

from core.errors import Problem
from ops.doctor.environment import Note, fail
from ops.doctor.git import Git

SECRETS = (
    "access_key_id|secret_access_key|session_token|sse_customer_key|password|passphrase|"
    "account_key|sas_token|connection_string|client_secret|gdrive_client_secret|custom_auth_header"
)
SECONDS = 5  # to wait for an answer


class Storage:
    """A remote that answers, or (not `used`) a folder that the first push makes."""

    def __init__(self, remote: Any, size: Callable[[str], int], used: bool = True) -> None:
        self.remote, self.size, self.used = remote, size, used

    def sizes(self, oids: list[str]) -> dict[str, int | None]:
        """Bytes of each object, None for what is not there; `Problem` when it stops to answer."""
        pool = ThreadPoolExecutor(16)
        try:
            answers = pool.map(self._size, oids)
            bar = tqdm(answers, "asking the storage", len(oids), leave=False, delay=2)
            return dict(zip(oids, bar, strict=True))
        except Exception as error:  # a remote of any kind may fail in any way
            raise Problem(f"stopped to answer: {_first(error)}") from None
        finally:
            pool.shutdown(cancel_futures=True)

    def _size(self, oid: str) -> int | None:
        try:
            return self.size(self.remote.odb.oid_to_path(oid)) if self.used else None
        except FileNotFoundError:
            return None

    def copy(self, file: str, oid: str) -> str:
        """The command that writes over an object, which `dvc push` never does."""
        path = self.remote.odb.oid_to_path(oid)
        if self.remote.fs.protocol == "s3":
            return f"aws s3 cp {file} s3://{path}"
        return f"cp -f {file} {path}"


def settings(conf: dict[str, Any], git: Git) -> list[Note]:
    """The remote as .dvc/config has it: set, verified when pulled, without credentials."""
    notes = secrets(Path(".dvc/config"))
    local = ".dvc/config.local"
    if local in git.known:
        notes.append(fail("secrets", f"{local} is in Git", f"git rm --cached {local}"))
    name = conf["core"].get("remote")
    if name not in conf["remote"]:
        fix = "dvc remote add -d storage ../storage && dvc remote modify storage verify true"
        if conf["remote"]:
            fix = f"dvc remote default {next(iter(conf['remote']))}"
        message = "no default remote: `dvc pull` would bring nothing and call it up to date"
        return [*notes, fail("storage", message, fix)]
    if not conf["remote"][name].get("verify"):
        message = f"remote {name}: altered data would be taken for good, verify is not on"
        notes.append(fail("storage", message, f"dvc remote modify {name} verify true"))
    return notes


def secrets(path: Path) -> list[Note]:
    """Credentials in a file that goes to Git."""
    notes, section = [], ""
    for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.lstrip().startswith("["):
            section = line.strip("[]'\"\n ").removeprefix('remote "')
        match = re.match(rf"\s*({SECRETS})\s*=", line)
        if match:
            fix = f"dvc remote modify --unset {section} {match[1]}"
            notes.append(fail("secrets", f"{path}:{n}: {match[1]}; revoke it too", fix))
        elif re.search(r"://[^/\s:@]+:[^/\s@]+@", line):
            fix = f"edit {path}, and revoke it"
            notes.append(fail("secrets", f"{path}:{n}: an address with a password", fix))
    return notes


def reach(repo: Any, name: str) -> tuple[Note, Storage | None]:
    """Whether the remote `name` answers; the storage to ask on when it does."""
    kind = repo.config["remote"][name]["url"].split("://")[0]
    try:
        remote = repo.cloud.get_remote(name)
    except ImportError as error:
        return fail("storage", str(error), f"pip install dvc-{kind}"), None
    if remote.fs.protocol == "s3":
        return _s3(repo.config["remote"][name], remote)
    if remote.fs.protocol == "local":
        return _folder(Path(remote.path), remote)
    return Note("note", "storage", f"{name}: only folders and S3 are asked", "dvc status -c"), None


def _folder(path: Path, remote: Any) -> tuple[Note, Storage | None]:
    there = path
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        return fail("storage", f"{there} is not a folder", f"mv {there} {there}.old"), None
    if not os.access(there, os.R_OK | os.W_OK | os.X_OK):
        return fail("storage", f"{there} cannot be written to", f"chmod u+rwx {there}"), None
    if there != path:
        message = f"{path}: the first `dvc push` makes it"
        return Note("ok", "storage", message), Storage(remote, os.path.getsize, used=False)
    return Note("ok", "storage", str(path)), Storage(remote, os.path.getsize)


def _s3(conf: dict[str, Any], remote: Any) -> tuple[Note, Storage | None]:
    """Ask for the bucket with the credentials at hand, once, and not for long."""
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.session import Session

    bucket, _, _ = remote.path.partition("/")
    session = Session(profile=conf.get("profile"))
    if conf.get("credentialpath"):
        session.set_config_variable("credentials_file", conf["credentialpath"])
    if conf.get("configpath"):
        session.set_config_variable("config_file", conf["configpath"])
    keys = [conf.get(key) for key in ("access_key_id", "secret_access_key", "session_token")]
    login = "aws sso login; or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    try:
        if not keys[0] and session.get_credentials() is None:
            return fail("storage", f"s3://{remote.path}: no AWS credentials", login), None
        client = session.create_client(
            "s3",
            conf.get("region"),
            use_ssl=conf.get("use_ssl", True),
            verify=conf.get("ssl_verify"),
            endpoint_url=conf.get("endpointurl"),
            aws_access_key_id=keys[0],
            aws_secret_access_key=keys[1],
            aws_session_token=keys[2],
            config=Config(
                connect_timeout=SECONDS,
                read_timeout=SECONDS,
                max_pool_connections=16,
                retries={"total_max_attempts": 1},
            ),
        )
        client.head_bucket(Bucket=bucket)
    except ClientError as error:
        code = error.response["ResponseMetadata"].get("HTTPStatusCode")
        if code == 404:
            message, fix = "no such bucket", f"aws s3 mb s3://{bucket}; or edit .dvc/config"
        else:
            message, fix = f"refused ({_first(error)})", login
        return fail("storage", f"s3://{bucket}: {message}", fix), None
    except (BotoCoreError, ValueError) as error:
        fix = "check the network and AWS_ENDPOINT_URL, or pass --offline"
        return fail("storage", f"s3://{bucket}: {_first(error)}", fix), None

    def size(path: str) -> int:
        try:
            key = path.partition("/")[2]
            return int(client.head_object(Bucket=bucket, Key=key)["ContentLength"])
        except ClientError as error:
            if error.response["ResponseMetadata"].get("HTTPStatusCode") == 404:
                raise FileNotFoundError(path) from None
            raise

    return Note("ok", "storage", f"s3://{remote.path}"), Storage(remote, size)


def _first(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
