"""terraform's S3 backend with its lock file; state only, so that no provider is needed."""

from __future__ import annotations

import json
import subprocess
import time

from conformance.clients.registry import client
from conformance.clients.stand import REGION, Stand
from conformance.clients.tools import OnPath, Tool

CONFIGURATION = """
terraform {{
  backend "s3" {{
    bucket                      = "{bucket}"
    key                         = "states/plan a.tfstate"
    region                      = "{region}"
    endpoints                   = {{ s3 = "{url}" }}
    use_lockfile                = true
    use_path_style              = true
    skip_credentials_validation = true
    skip_metadata_api_check     = true
    skip_requesting_account_id  = true
    skip_region_validation      = true
  }}
}}
variable "colour" {{ type = string }}
resource "terraform_data" "thing" {{
  input = var.colour
  provisioner "local-exec" {{ command = "{pause}" }}
}}
output "colour" {{ value = terraform_data.thing.output }}
"""
LOCK = "states/plan a.tfstate.tflock"


@client("terraform", OnPath("terraform"))
def terraform(stand: Stand, tool: Tool) -> None:
    """S3 backend with use_lockfile: init, apply, plan, a second apply refused while the first holds the lock,
    state pull, workspaces, destroy."""
    stand.make_bucket()
    quiet = {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_PLUGIN_CACHE_DIR": ""}
    file = stand.folder / "main.tf"

    def write(pause: str) -> None:
        file.write_text(CONFIGURATION.format(bucket=stand.bucket, region=REGION, url=stand.url, pause=pause))

    def run(*arguments: str, fails: bool = False) -> str:
        return stand.run(tool, *arguments, environment=quiet, fails=fails)

    write("true")
    run("init", "-input=false", "-no-color")
    run("apply", "-auto-approve", "-no-color", "-var=colour=blue")
    assert json.loads(run("output", "-json"))["colour"]["value"] == "blue"
    assert "No changes" in run("plan", "-no-color", "-var=colour=blue")
    assert stand.keys() == ["states/plan a.tfstate"], "the lock is gone"

    gate = stand.folder / "gate"
    write(f"until [ -e {gate} ]; do sleep 0.1; done")
    words = [*tool.command, "apply", "-auto-approve", "-no-color", "-var=colour=red", "-replace=terraform_data.thing"]
    first = subprocess.Popen(
        words, cwd=stand.folder, env={**stand.environment(tool), **quiet}, stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while not stand.keys(LOCK):
            assert time.monotonic() < deadline and first.poll() is None, "no lock was taken"
            time.sleep(0.1)
        told = run("apply", "-auto-approve", "-no-color", "-var=colour=green", fails=True)
        assert "Error acquiring the state lock" in told and "PreconditionFailed" in told, told
    finally:
        gate.touch()
        assert first.wait(60) == 0
    assert json.loads(run("output", "-json"))["colour"]["value"] == "red"

    kept = stand.s3.get_object(Bucket=stand.bucket, Key="states/plan a.tfstate")["Body"].read()
    assert json.loads(run("state", "pull")) == json.loads(kept)
    run("workspace", "new", "other")
    run("apply", "-auto-approve", "-no-color", "-var=colour=grey")
    assert stand.keys() == ["env:/other/states/plan a.tfstate", "states/plan a.tfstate"]
    run("destroy", "-auto-approve", "-no-color", "-var=colour=grey")
    run("workspace", "select", "default")
    run("workspace", "delete", "other")
    run("destroy", "-auto-approve", "-no-color", "-var=colour=red")
    assert json.loads(run("output", "-json")) == {}
