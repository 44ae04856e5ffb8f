import os
import re
from urllib.parse import urlencode
from xml.etree import ElementTree

from stub import INPUTS, export, fail, fetch, identity, need

region = need("aws-region")
if INPUTS["aws-access-key-id"]:
    fail("long-lived keys")
role = need("role-to-assume")
if not re.fullmatch(r"arn:aws:iam::\d{12}:role/[\w+=,.@/-]+", role):
    fail(f"Could not assume role with OIDC: {role!r} is no role's ARN")
form = {
    "Action": "AssumeRoleWithWebIdentity",
    "Version": "2011-06-15",
    "RoleArn": role,
    "RoleSessionName": INPUTS["role-session-name"],
    "DurationSeconds": INPUTS["role-duration-seconds"],
    "WebIdentityToken": identity(INPUTS["audience"]),
}
answer = fetch(os.environ["AWS_ENDPOINT_URL"], data=urlencode(form).encode())
tags = ElementTree.fromstring(answer).iter()
found = {one.tag.rpartition("}")[2]: one.text or "" for one in tags}
export("AWS_DEFAULT_REGION", region)
export("AWS_REGION", region)
export("AWS_ACCESS_KEY_ID", found["AccessKeyId"], secret=True)
export("AWS_SECRET_ACCESS_KEY", found["SecretAccessKey"], secret=True)
export("AWS_SESSION_TOKEN", found["SessionToken"], secret=True)
print(f"Authenticated as assumedRoleId {found.get('AssumedRoleId', '')}")
