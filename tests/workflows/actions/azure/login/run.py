import re

from stub import INPUTS, fail, identity, need

if INPUTS["creds"]:
    fail("long-lived keys")
for name in ("client-id", "tenant-id", "subscription-id"):
    if not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", need(name)):
        fail(f"{name} is no UUID")
identity("api://AzureADTokenExchange")
