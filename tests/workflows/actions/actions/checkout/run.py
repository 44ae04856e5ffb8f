import base64
import os
import subprocess

from stub import INPUTS, WORKSPACE, output, repository, yes

repo = INPUTS["repository"] or os.environ["GITHUB_REPOSITORY"]
folder = WORKSPACE / INPUTS["path"]
repository(INPUTS["token"])  # without `contents: read` there is nothing to clone


def git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        print(f"::error::git {' '.join(arguments)}: {done.stderr}")
        raise SystemExit(1)
    return done.stdout.strip()


folder.mkdir(parents=True, exist_ok=True)
if not (folder / ".git").exists():
    git("init", "-q", "-b", "standin-empty")
    git("remote", "add", "origin", f"https://github.com/{repo}")
own = repo == os.environ["GITHUB_REPOSITORY"] and not INPUTS["ref"]
ref = INPUTS["ref"] or (os.environ["GITHUB_REF"] if own else "HEAD")
sha = os.environ["GITHUB_SHA"] if own else ""
if not own and not ref.startswith("refs/") and ref != "HEAD":
    heads = git("ls-remote", "origin", f"refs/heads/{ref}", f"refs/tags/{ref}").split()
    sha, ref = (heads[0], heads[1]) if heads else (ref, "")
branch = ref.removeprefix("refs/heads/") if ref.startswith("refs/heads/") else ""
local = f"refs/remotes/origin/{branch}" if branch else f"refs/remotes/{ref[5:] or 'wanted'}"
wanted = f"+{sha or ref}:{local}"
depth = int(INPUTS["fetch-depth"])
if depth:
    tags = [] if yes("fetch-tags") else ["--no-tags"]
    git("fetch", "-q", *tags, f"--depth={depth}", "origin", wanted)
else:
    everything = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
    git("fetch", "-q", "--prune", "origin", *everything, *([] if branch else [wanted]))
git("checkout", "-q", "--force", *(["-B", branch] if branch else ["--detach"]), sha or local)
if yes("persist-credentials"):
    secret = base64.b64encode(f"x-access-token:{INPUTS['token']}".encode()).decode()
    git("config", "http.https://github.com/.extraheader", f"AUTHORIZATION: basic {secret}")
output("ref", ref)
output("commit", git("rev-parse", "HEAD"))
print(git("log", "-1", "--format=%H %s"))
