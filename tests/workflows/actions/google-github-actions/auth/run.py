import json
import re

from stub import INPUTS, WORKSPACE, export, fail, identity, need, output, yes

provider = need("workload_identity_provider")
account = need("service_account")
if INPUTS["credentials_json"]:
    fail("long-lived keys")
if not re.fullmatch(
    r"projects/\d+/locations/global/workloadIdentityPools/[\w-]+/providers/[\w-]+", provider
):
    fail(f"workload_identity_provider: {provider!r} is none")
project = INPUTS["project_id"] or account.partition("@")[2].partition(".")[0]
identity(f"https://iam.googleapis.com/{provider}")
if yes("create_credentials_file"):
    file = WORKSPACE / "gha-creds-0123456789abcdef.json"
    file.write_text(json.dumps({"type": "external_account", "audience": provider}))
    output("credentials_file_path", str(file))
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE"):
        export(name, str(file))
for name in ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "GCP_PROJECT", "CLOUDSDK_CORE_PROJECT"):
    export(name, project)
output("project_id", project)
