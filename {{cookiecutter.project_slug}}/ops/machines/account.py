"""What there is in an AWS account, and what a stack has still to make."""

import re
from typing import Any

from botocore.exceptions import ClientError

from core.dvc_config import remote_url
from core.errors import Problem
from ops.machines.stack import ask

ISSUER = "token.actions.githubusercontent.com"


def bucket() -> str:
    """The bucket that .dvc/config names."""
    if named := re.match(r"s3://([^/]+)", remote_url()):
        return named[1]
    raise Problem(".dvc/config names no bucket on S3; name one by: --bucket NAME")


def new_bucket(s3: Any, name: str) -> bool:
    """Whether the bucket is still to be made."""
    try:
        s3.head_bucket(Bucket=name)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchBucket"):
            return True
        raise Problem(
            f"the bucket {name} is somebody else's: names are taken world-wide; take another one "
            "and put it in .dvc/config too",
        ) from None
    return False


def place(ec2: Any, kind: str, subnet: str | None) -> dict[str, str]:
    """A network and a subnet with public addresses, where machines of this kind are offered."""
    where = {"Name": "instance-type", "Values": [kind]}
    offers = ask(
        ec2.describe_instance_type_offerings, LocationType="availability-zone", Filters=[where]
    )["InstanceTypeOfferings"]
    zones = {one["Location"] for one in offers}
    name, value = ("subnet-id", subnet) if subnet else ("default-for-az", "true")
    only = {"Name": name, "Values": [value]}
    subnets = ask(ec2.describe_subnets, Filters=[only])["Subnets"]
    for one in sorted(subnets, key=lambda one: str(one["AvailabilityZone"])):
        if one["AvailabilityZone"] in zones:
            return {"Vpc": one["VpcId"], "Subnet": one["SubnetId"]}
    offered = ", ".join(sorted(zones)) or "nowhere in this region"
    what = f"the subnet {subnet} is not where" if subnet else "no default subnet is where"
    raise Problem(f"{what} {kind} is offered ({offered}); name one by: --subnet subnet-…")


def new_provider(iam: Any) -> bool:
    """Whether the account does not know GitHub's tokens yet; it can know an issuer only once."""
    known = ask(iam.list_open_id_connect_providers)["OpenIDConnectProviderList"]
    return not any(one["Arn"].endswith(f"/{ISSUER}") for one in known)


def spot(iam: Any) -> None:
    """Make the role by which EC2 starts spot instances, if the account has never had one."""
    try:
        iam.create_service_linked_role(AWSServiceName="spot.amazonaws.com")
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("InvalidInput", "EntityAlreadyExists"):
            raise Problem(f"aws: {error}") from None
