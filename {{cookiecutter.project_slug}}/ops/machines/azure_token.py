"""Azure by OIDC for CML, whose provider knows a client's secret or a managed identity only.

While CML runs, this answers on loopback as the managed identity of an App Service does
(protocol 2017-09-01), with tokens of `az`, which azure/login has logged in by OIDC.
"""

import contextlib
import json
import secrets
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from core.errors import Problem
from ops.machines.lifetime import run_json

MANAGEMENT = "https://management.azure.com"  # nothing else is asked for


def token(resource: str) -> dict[str, str]:
    """A token of `az` in the words of a managed identity."""
    answer = run_json("az", "account", "get-access-token", "--resource", resource, "-o", "json")
    return {
        "access_token": answer["accessToken"],
        "expires_on": str(answer["expires_on"]),
        "resource": resource,
        "token_type": "Bearer",
    }


@contextlib.contextmanager
def served(env: dict[str, str]) -> Iterator[None]:
    """Serve tokens to whoever has `env`, which gets the address and a secret."""
    secret = secrets.token_urlsafe(32)

    class Identity(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            resource = parse_qs(urlsplit(self.path).query).get("resource", [""])[0]
            known = secrets.compare_digest(self.headers.get("secret", ""), secret)
            status, answer = 403, {"error": "not for you"}
            if known and resource.rstrip("/") == MANAGEMENT:
                try:
                    status, answer = 200, token(resource)
                except (Problem, KeyError) as problem:
                    status, answer = 500, {"error": str(problem)}
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the address holds no secret, but nobody needs it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Identity)
    for name in ("AZURE_CLIENT_SECRET", "AZURE_CERTIFICATE_PATH", "AZURE_USERNAME"):
        env.pop(name, None)
    env |= {"MSI_ENDPOINT": f"http://127.0.0.1:{server.server_port}/token", "MSI_SECRET": secret}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
