"""An S3 server on this machine, and the environment that leads the AWS tools to it."""

import os
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
import requests
from botocore.config import Config
from moto.server import ThreadedMotoServer

BUCKET = "credit-risk-storage"  # that of the default answers with dvc_remote: s3

S3 = dict[str, str]


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The server's address, on a port that was free."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server: str) -> S3:
    """Environment variables of somebody who may use the server's only bucket, which is empty."""
    requests.post(f"{s3_server}/moto-api/reset", timeout=10)
    env = {
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "example",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": s3_server,
        "NO_PROXY": "127.0.0.1",
    }
    client(env).create_bucket(Bucket=BUCKET)
    return os.environ | env


def client(env: S3) -> Any:
    """A client of the server's, to look at what others have put there."""
    return botocore.session.Session().create_client(
        "s3",
        env["AWS_DEFAULT_REGION"],
        endpoint_url=env["AWS_ENDPOINT_URL"],
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
        config=Config(connect_timeout=5, read_timeout=10, proxies={}),
    )


def keys(env: S3) -> set[str]:
    """What stands in the bucket."""
    listed = client(env).list_objects_v2(Bucket=BUCKET)
    return {one["Key"] for one in listed.get("Contents", ())}
