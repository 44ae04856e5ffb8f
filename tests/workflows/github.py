"""A stand-in for GitHub on this machine: the REST API, the proxy that leads to it, the OIDC issuer.

Whoever is given `GitHub.env` talks to https://api.github.com and reaches this process: it answers
CONNECT itself, with a certificate of its own, and has nothing behind it, so no other host can be
reached. It keeps comments, runners, runs and labels in memory, holds each token to the permissions
it was granted, as GitHub does, and notes every request.

Where `origin` is set, git reaches it by https://github.com/OWNER/NAME.git with the token of a job,
and pull requests are merged there. A workflow that is started, and an event that is sent, are noted
and start nothing. It knows no rate limits and no webhooks. The limit of 65,536 characters, the page
sizes and the error texts are GitHub's as generally known.
"""

import base64
import datetime
import json
import re
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from workflows import repository
from workflows import workflow as wf

HOSTS = ("api.github.com", "github.com")
MAX_BODY = 65536
Json = dict[str, Any]


class Call(NamedTuple):
    """One request: who asked (the token's owner), for what, with which answer."""

    who: str
    method: str
    path: str
    status: int
    body: Any


class Refusal(Exception):
    """An answer that is not 2xx."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class GitHub:
    """The state, and the server in front of it; `with GitHub(folder, "acme/loans") as github`."""

    def __init__(self, folder: Path, repo: str, artifacts: Path | None = None) -> None:
        self.repo = repo
        self.folder = folder
        self.artifacts = artifacts or folder / "artifacts"
        self.origin: Path | None = None
        self.lock = threading.RLock()
        self.forget()
        certificate(folder)
        handler = type("Bound", (Handler,), {"github": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def forget(self) -> None:
        """Everything as on the first day."""
        self.tokens: dict[str, tuple[str, dict[str, str]]] = {}
        self.oidc: dict[str, tuple[str, Json]] = {}  # bearer: who, claims
        self.pulls: dict[int, Json] = {}
        self.comments: list[Json] = []
        self.labels: dict[int, list[str]] = {}
        self.runners: list[Json] = []
        self.hired: list[Json] = []  # what was asked of the cloud, as CML wrote it
        self.runs: list[Json] = []
        self.calls: list[Call] = []
        self.strangers: list[str] = []  # hosts that were asked for and are not here
        self.started: list[Json] = []  # workflows: {"workflow": "release.yml", "ref": "main", ...}
        self.sent: list[Json] = []  # events of repository_dispatch
        self.issued: list[Json] = []  # claims of the OIDC tokens that were handed out
        self.refuse: Callable[[str, str], int | None] = lambda method, path: None
        self.ids = 1000

    def __enter__(self) -> "GitHub":
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def env(self) -> dict[str, str]:
        """What leads git, curl, node and Python here, and nowhere else."""
        authority = str(self.folder / "ca.pem")
        proxies = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "http_proxy"), self.url)
        trust = ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
        return (
            proxies
            | dict.fromkeys(trust, authority)
            | dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost")
            | {"GIT_SSL_CAINFO": authority}
        )

    def grant(self, token: str, permissions: dict[str, str], who: str) -> None:
        """From now on the token may do that: {"issues": "write", "actions": "read"}."""
        self.tokens[token] = (who, permissions)

    def grant_identity(self, bearer: str, claims: Json, who: str) -> None:
        """Let whoever holds this have OIDC tokens with these claims (`id-token: write`)."""
        self.oidc[bearer] = (who, claims)

    def on(self, number: int) -> list[Json]:
        """The comments on a pull request or issue."""
        return [one for one in self.comments if one.get("issue") == number]

    def asked(self, method: str, pattern: str) -> list[Call]:
        """The requests of a method whose path matches."""
        return [one for one in self.calls if one.method == method and re.search(pattern, one.path)]

    def new(self) -> int:
        self.ids += 1
        return self.ids

    def add_runner(self, name: str, labels: list[str], status: str = "online") -> Json:
        """A self-hosted runner registers itself; GitHub gives it three labels of its own."""
        labels = ["self-hosted", "Linux", "X64", *labels]
        runner = {"id": self.new(), "name": name, "os": "linux", "status": status, "busy": False}
        runner["labels"] = [{"name": label} for label in labels]
        self.runners.append(runner)
        return runner

    # -- answers -----------------------------------------------------------------------------

    def answer(self, method: str, path: str, query: Json, body: Any, token: str) -> tuple[int, Any]:
        """Status and JSON; raises Refusal."""
        forced = self.refuse(method, path)
        if path == "/_/oidc":
            return self.identity(query, token)
        if path == "/_/runner":  # how the pretended machine says that it is there
            self.hired.append(body)
            return 201, self.add_runner(body["name"], body["labels"].split(","))
        if token not in self.tokens:
            raise Refusal(401, "Bad credentials" if token else "Requires authentication")
        for verb, pattern, need, reply in ROUTES:
            prefix = "" if pattern.startswith("/users") else f"/repos/{re.escape(self.repo)}"
            found = re.fullmatch(prefix + pattern, path)
            if verb != method or not found:
                continue
            self.check(token, need)
            if forced:
                raise Refusal(forced, "Resource not accessible by integration")
            return reply(self, found.groups(), query, body)
        raise Refusal(404, "Not Found")

    def check(self, token: str, need: str) -> None:
        """`need`: "" or alternatives such as "issues:write pull-requests:write"."""
        _, permissions = self.tokens[token]
        for one in need.split():
            scope, level = one.split(":")
            if permissions.get(scope) in {level, "write"}:
                return
        if need:
            raise Refusal(403, "Resource not accessible by integration")

    def identity(self, query: Json, bearer: str) -> tuple[int, Json]:
        """A token in the format of a JWT whose signature nobody here checks."""
        if bearer not in self.oidc:
            raise Refusal(403, "id-token: write is not among this job's permissions")
        now = int(time.time())
        claims = self.oidc[bearer][1] | {
            "aud": query.get("audience", f"https://github.com/{self.repo.split('/')[0]}"),
            "iss": "https://token.actions.githubusercontent.com",
            "iat": now,
            "exp": now + 600,
        }
        self.issued.append(claims)
        parts = ({"alg": "RS256", "typ": "JWT"}, claims)
        encoded = (base64.urlsafe_b64encode(json.dumps(part).encode()) for part in parts)
        jwt = ".".join(part.decode().rstrip("=") for part in encoded) + ".c2lnbmF0dXJl"
        return 200, {"value": jwt, "count": len(jwt)}

    def user(self, found: Any, query: Json, body: Any) -> tuple[int, Json]:
        return 200, {"login": found[0], "id": 1, "name": found[0], "type": "User"}

    def repository(self, found: Any, query: Json, body: Any) -> tuple[int, Json]:
        return 200, {"full_name": self.repo, "default_branch": "main", "private": True}

    def list_pulls(self, found: Any, query: Json, body: Any) -> tuple[int, Any]:
        wanted = query.get("state", "open")
        pulls = [one for one in self.pulls.values() if wanted in ("all", one["state"])]
        if "head" in query:
            pulls = [one for one in pulls if one["head"]["label"] == query["head"]]
        return 200, page(pulls, query)

    def open_pull(self, found: Any, query: Json, body: Any) -> tuple[int, Json]:
        number = self.new()
        url = f"https://github.com/{self.repo}/pull/{number}"
        self.pulls[number] = {"number": number, "state": "open", "html_url": url} | {
            "title": body["title"],
            "body": body.get("body"),
            "head": {"ref": body["head"], "label": body["head"], "sha": ""},
            "base": {"ref": body["base"]},
            "merged": False,
        }
        return 201, self.pulls[number]

    def merge_pull(self, found: Any, query: Json, body: Any) -> tuple[int, Json]:
        pull, method = self.one(self.pulls, int(found[0])), (body or {}).get("merge_method")
        if not self.origin or pull["state"] != "open":
            raise Refusal(405, "Pull Request is not mergeable")
        title = f"{pull['title']} (#{found[0]})"
        branches = (pull["base"]["ref"], pull["head"]["ref"])
        try:
            sha = repository.merge(self.origin, *branches, method or "merge", title)
        except repository.Conflict:
            raise Refusal(405, "Pull Request is not mergeable") from None
        pull |= {"state": "closed", "merged": True, "merge_commit_sha": sha}
        return 200, {"sha": sha, "merged": True, "message": "Pull Request successfully merged"}

    def start(self, found: Any, query: Json, body: Any) -> tuple[int, None]:
        """A workflow is started by hand, if its file on that branch says that it may be."""
        name, ref = found[0], str((body or {}).get("ref", ""))
        try:
            assert self.origin
            where = f"{ref}:.github/workflows/{name}"
            workflow = wf.read(repository.git(self.origin, "show", where))
        except repository.Conflict:
            raise Refusal(404, "Not Found") from None
        on = wf.triggers(workflow)
        if "workflow_dispatch" not in on:
            raise Refusal(422, "Workflow does not have 'workflow_dispatch' trigger")
        inputs = body.get("inputs", {})
        if set(inputs) - set(on["workflow_dispatch"].get("inputs", {})):
            raise Refusal(422, f"Unexpected inputs provided: {sorted(inputs)}")
        self.started.append({"workflow": name, "ref": ref, "inputs": inputs})
        return 204, None

    def send(self, found: Any, query: Json, body: Any) -> tuple[int, None]:
        if not isinstance(body, dict) or not body.get("event_type"):
            raise Refusal(422, "Invalid request. event_type wasn't supplied.")
        self.sent.append(body)
        return 204, None

    def pull(self, found: Any, query: Json, body: Any) -> tuple[int, Json]:
        return 200, self.one(self.pulls, int(found[0]))

    def pulls_of(self, found: Any, query: Json, body: Any) -> tuple[int, Any]:
        state = query.get("state", "open")
        return 200, [
            one
            for one in self.pulls.values()
            if one["head"]["sha"] == found[0] and state in ("all", one["state"])
        ]

    def list_comments(self, found: Any, query: Json, body: Any) -> tuple[int, Any]:
        self.one(self.pulls, int(found[0]))
        return 200, page(self.on(int(found[0])), query)

    def comment(self, found: Any, query: Json, body: Any) -> tuple[int, Json]:
        self.one(self.pulls, int(found[0]))
        url = f"https://github.com/{self.repo}/pull/{found[0]}"
        return 201, self.write({"issue": int(found[0])}, url, body)

    def commit_comments(self, found: Any, query: Json, body: Any) -> tuple[int, Any]:
        return 200, page([one for one in self.comments if one.get("commit") == found[0]], query)

    def comment_commit(self, found: Any, query: Json, body: Any) -> tuple[int, Json]:
        url = f"https://github.com/{self.repo}/commit/{found[0]}"
        return 201, self.write({"commit": found[0]}, url, body)

    def write(self, where: Json, url: str, body: Any) -> Json:
        comment = where | {"id": self.new(), "body": text(body), "edits": 0}
        comment |= {"html_url": f"{url}#issuecomment-{comment['id']}", "user": {"login": "bot"}}
        self.comments.append(comment)
        return comment

    def edit(self, found: Any, query: Json, body: Any) -> tuple[int, Json]:
        comment = self.one({one["id"]: one for one in self.comments}, int(found[0]))
        comment |= {"body": text(body), "edits": comment["edits"] + 1}
        return 200, comment

    def list_labels(self, found: Any, query: Json, body: Any) -> tuple[int, Any]:
        return 200, [{"name": name} for name in self.labels.get(int(found[0]), [])]

    def add_labels(self, found: Any, query: Json, body: Any) -> tuple[int, Any]:
        self.labels.setdefault(int(found[0]), []).extend(body["labels"])
        return self.list_labels(found, query, body)

    def registration(self, found: Any, query: Json, body: Any) -> tuple[int, Json]:
        return 201, {"token": "AREGISTRATION", "expires_at": "2099-01-01T00:00:00Z"}

    def list_runners(self, found: Any, query: Json, body: Any) -> tuple[int, Json]:
        return 200, {"total_count": len(self.runners), "runners": page(self.runners, query)}

    def remove_runner(self, found: Any, query: Json, body: Any) -> tuple[int, None]:
        runner = self.one({one["id"]: one for one in self.runners}, int(found[0]))
        if runner["busy"]:
            raise Refusal(422, f"Runner {runner['name']} is still running a job")
        self.runners.remove(runner)
        return 204, None

    def list_runs(self, found: Any, query: Json, body: Any) -> tuple[int, Json]:
        runs = [one for one in self.runs if query.get("status") in (None, one["status"])]
        return 200, {"total_count": len(runs), "workflow_runs": page(runs, query)}

    def run(self, found: Any, query: Json, body: Any) -> tuple[int, Json]:
        return 200, self.one({one["id"]: one for one in self.runs}, int(found[0]))

    def list_artifacts(self, found: Any, query: Json, body: Any) -> tuple[int, Json]:
        folder = self.artifacts / found[0]
        names = sorted(one.name for one in folder.iterdir()) if folder.is_dir() else []
        size = {name: sum(f.stat().st_size for f in (folder / name).rglob("*")) for name in names}
        listed = [{"id": i, "name": n, "size_in_bytes": size[n]} for i, n in enumerate(names)]
        return 200, {"total_count": len(listed), "artifacts": page(listed, query)}

    @staticmethod
    def one(many: Any, key: int) -> Json:
        if key not in many:
            raise Refusal(404, "Not Found")
        found: Json = many[key]
        return found


ROUTES: list[tuple[str, str, str, Callable[..., tuple[int, Any]]]] = [
    ("GET", r"/users/([^/]+)", "", GitHub.user),
    ("GET", "", "", GitHub.repository),
    ("GET", r"/contents", "contents:read", GitHub.repository),
    ("GET", r"/pulls", "pull-requests:read", GitHub.list_pulls),
    ("POST", r"/pulls", "pull-requests:write", GitHub.open_pull),
    ("GET", r"/pulls/(\d+)", "pull-requests:read", GitHub.pull),
    ("PUT", r"/pulls/(\d+)/merge", "contents:write", GitHub.merge_pull),
    ("POST", r"/actions/workflows/([\w.-]+)/dispatches", "actions:write", GitHub.start),
    ("POST", r"/dispatches", "contents:write", GitHub.send),
    ("GET", r"/commits/(\w+)/pulls", "pull-requests:read contents:read", GitHub.pulls_of),
    (
        "GET",
        r"/issues/(\d+)/comments",
        "issues:read pull-requests:read",
        GitHub.list_comments,
    ),
    ("POST", r"/issues/(\d+)/comments", "issues:write pull-requests:write", GitHub.comment),
    ("PATCH", r"/issues/comments/(\d+)", "issues:write pull-requests:write", GitHub.edit),
    ("GET", r"/issues/(\d+)/labels", "issues:read pull-requests:read", GitHub.list_labels),
    ("POST", r"/issues/(\d+)/labels", "issues:write pull-requests:write", GitHub.add_labels),
    ("GET", r"/commits/(\w+)/comments", "contents:read", GitHub.commit_comments),
    ("POST", r"/commits/(\w+)/comments", "contents:write", GitHub.comment_commit),
    ("PATCH", r"/comments/(\d+)", "contents:write", GitHub.edit),
    (
        "POST",
        r"/actions/runners/registration-token",
        "administration:write",
        GitHub.registration,
    ),
    ("GET", r"/actions/runners", "administration:read", GitHub.list_runners),
    ("DELETE", r"/actions/runners/(\d+)", "administration:write", GitHub.remove_runner),
    ("GET", r"/actions/runs", "actions:read", GitHub.list_runs),
    ("GET", r"/actions/runs/(\d+)", "actions:read", GitHub.run),
    ("GET", r"/actions/runs/(\d+)/artifacts", "actions:read", GitHub.list_artifacts),
]


def text(body: Any) -> str:
    """The text of a comment; GitHub takes no longer ones."""
    if not isinstance(body, dict) or not isinstance(body.get("body"), str) or not body["body"]:
        raise Refusal(422, "Validation Failed: body can't be blank")
    if len(body["body"]) > MAX_BODY:
        raise Refusal(422, "Validation Failed: body is too long (maximum is 65536 characters)")
    written: str = body["body"]
    return written


def page(items: list[Any], query: Json) -> list[Any]:
    """The part of a list that was asked for: 30 items, 100 at most."""
    size = min(int(query.get("per_page", 30)), 100)
    first = (int(query.get("page", 1)) - 1) * size
    return items[first : first + size]


class Handler(BaseHTTPRequestHandler):
    github: GitHub
    protocol_version = "HTTP/1.1"
    host = ""

    def log_message(self, *_: object) -> None:
        pass

    def do_CONNECT(self) -> None:
        self.host = self.path.partition(":")[0]
        if self.host not in HOSTS:
            self.github.strangers.append(self.host)
            self.send_error(403, "no such host here")
            return
        self.send_response(200)
        self.end_headers()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.github.folder / "server.pem")
        self.connection = self.request = context.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", buffering=0)  # type: ignore[assignment]
        self.close_connection = False

    def serve(self) -> None:
        raw = self.content()
        url = urlsplit(self.path)
        if url.hostname not in (None, "127.0.0.1", *HOSTS):  # plain http by way of the proxy
            self.github.strangers.append(str(url.hostname))
            self.reply(403, {"message": "no such host here"})
            return
        if self.host == "github.com":
            self.git(url.path, url.query, raw)
            return
        query = {key: values[-1] for key, values in parse_qs(url.query).items()}
        token = (self.headers.get("Authorization") or "").rpartition(" ")[2]
        body: Any = None
        with self.github.lock:
            try:
                body = json.loads(raw) if raw else None
                status, answer = self.github.answer(self.command, url.path, query, body, token)
            except json.JSONDecodeError:
                status, answer = 400, {"message": "Problems parsing JSON"}
            except Refusal as refusal:
                status, answer = refusal.status, {"message": str(refusal)}
            who = self.github.tokens.get(token) or self.github.oidc.get(token) or ("nobody",)
            call = Call(who[0], self.command, self.path, status, body)
            self.github.calls.append(call)
            link = self.next_page(query, answer)
        self.reply(status, answer, link)

    def content(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def git(self, path: str, query: str, raw: bytes) -> None:
        """git clones, fetches and pushes, as far as its token goes."""
        place, need = f"/{self.github.repo}", repository.need(path, query)
        token = repository.token(self.headers.get("Authorization") or "")
        rest = path.removeprefix(place).removeprefix(".git")
        who = self.github.tokens.get(token, ("nobody",))[0]
        answer = repository.Answer(404, [], b"")
        if need and path.startswith(place) and self.github.origin:
            try:
                if token not in self.github.tokens:
                    raise Refusal(401, "")
                self.github.check(token, need)
                url, headers = (rest, query), self.headers.items()
                answer = repository.backend(self.github.origin, self.command, url, headers, raw)
            except Refusal as refusal:
                asks = [("WWW-Authenticate", 'Basic realm="GitHub"')] * (refusal.status == 401)
                answer = repository.Answer(refusal.status, asks, str(refusal).encode())
        call = Call(who, self.command, f"git {need} {rest}", answer.status, None)
        with self.github.lock:
            self.github.calls.append(call)
        self.send_response(answer.status)
        for name, value in [*answer.headers, ("Content-Length", str(len(answer.body)))]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = serve

    def next_page(self, query: Json, answer: Any) -> str:
        """The header that says where a list goes on."""
        lists = [answer] if isinstance(answer, list) else []
        if isinstance(answer, dict) and "total_count" in answer:
            lists = [value for value in answer.values() if isinstance(value, list)]
        size = min(int(query.get("per_page", 30)), 100)
        if not lists or len(lists[0]) < size:
            return ""
        number = int(query.get("page", 1)) + 1
        path = self.path.partition("?")[0]
        host = f"https://{self.host}" if self.host else self.github.url
        return f'<{host}{path}?per_page={size}&page={number}>; rel="next"'

    def reply(self, status: int, answer: Any, link: str = "") -> None:
        data = b"" if status == 204 else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        if link:
            self.send_header("Link", link)
        self.end_headers()
        self.wfile.write(data)


def certificate(folder: Path) -> None:
    """`server.pem` (key and certificate) and `ca.pem`, good for a day and for our hosts only."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stand-in for GitHub")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(h) for h in HOSTS]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    public = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "ca.pem").write_bytes(public)
    (folder / "server.pem").write_bytes(private + public)
