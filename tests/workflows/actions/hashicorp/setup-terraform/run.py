import os

from stub import INPUTS, add_path, fail, yes

if INPUTS["terraform_version"] == "latest":
    fail("terraform_version is not pinned")
if yes("terraform_wrapper"):
    fail("terraform_wrapper: CML cannot read what the wrapper prints; say false")
add_path(os.environ["STAND_IN_TERRAFORM_BIN"])
