"""The pretended bucket: what a project's cache holds, as `dvc push --run-cache` would put it."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore.config import Config

ROLE = "arn:aws:iam::123456789012:role"


def client(url: str) -> Any:
    """Whoever this is, the server believes it."""
    return botocore.session.Session().create_client(
        "s3",
        "us-east-1",
        endpoint_url=url,
        aws_access_key_id="AKIAEXAMPLE",
        aws_secret_access_key="example",
        config=Config(connect_timeout=5, read_timeout=60, proxies={}),
    )


def fill(server: str, remote: str, cache: Path) -> None:
    """Put the cache into the remote, `s3://bucket/folder`; the bucket is there."""
    there = urlsplit(remote)
    storage = client(server)
    for part in ("files", "runs"):
        for path in (cache / part).rglob("*"):
            if path.is_file():
                key = f"{there.path.strip('/')}/{path.relative_to(cache)}".lstrip("/")
                with path.open("rb") as body:
                    storage.put_object(Bucket=there.netloc, Key=key, Body=body)


def settings() -> dict[str, dict[str, str]]:
    """Variables of the repository, and of its environment `machines`, that lead anywhere."""
    return {
        "": {"AWS_REGION": "us-east-1", "AWS_ROLE": f"{ROLE}/ci"},
        "machines": {
            "AWS_LAUNCH_ROLE": f"{ROLE}/launch",
            "AWS_SECURITY_GROUP": "sg-0123456789abcdef0",
            "AWS_SUBNET": "subnet-0123456789abcdef0",
            "AWS_INSTANCE_PROFILE": "arn:aws:iam::123456789012:instance-profile/runner",
            "GCP_PROJECT": "acme-models",
            "GCP_SERVICE_ACCOUNT": "ci@acme-models.iam.gserviceaccount.com",
            "GCP_PROVIDER": "projects/1/locations/global/workloadIdentityPools/github/providers/g",
            "AZURE_CLIENT_ID": "00000000-0000-4000-8000-000000000001",
            "AZURE_TENANT_ID": "00000000-0000-4000-8000-000000000002",
            "AZURE_SUBSCRIPTION_ID": "00000000-0000-4000-8000-000000000003",
        },
    }
