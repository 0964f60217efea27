"""A local server that speaks the hub's protocol: accounts, repositories, preupload, LFS, commits.

Files of a text-like name are "regular", others go by LFS; a repository keeps its commits, each with all of its files.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.publishing.http_server import served

REGULAR = (".md", ".json", ".txt", ".csv", ".yaml")
_ROUTES = (
    ("GET", r"/api/models/(?P<repo>[^/]+/[^/]+)(?:/revision/(?P<branch>.+))?", "info"),
    ("GET", r"/api/datasets/(?P<repo>[^/]+/[^/]+)/revision/(?P<branch>.+)", "source"),
    ("POST", r"/api/repos/create", "create"),
    ("POST", r"/api/validate-yaml", "validate"),
    ("POST", r"/api/models/(?P<repo>[^/]+/[^/]+)/preupload/(?P<branch>.+)", "preupload"),
    ("POST", r"/api/models/(?P<repo>[^/]+/[^/]+)/branch/(?P<branch>.+)", "branch"),
    ("POST", r"/(?P<repo>[^/]+/[^/]+)\.git/info/lfs/objects/batch", "lfs"),
    ("PUT", r"/lfs/(?P<oid>[0-9a-f]{64})", "put"),
    ("POST", r"/api/models/(?P<repo>[^/]+/[^/]+)/commit/(?P<branch>.+)", "commit"),
)


@dataclass
class Repository:
    owner: str
    private: bool
    branches: dict[str, list[dict[str, bytes]]] = field(default_factory=lambda: {"main": [{}]})

    def head(self, branch: str) -> str:
        return hashlib.sha1(f"{branch}{len(self.branches[branch])}{self.owner}".encode()).hexdigest()

    def files(self, branch: str = "main") -> dict[str, bytes]:
        return self.branches[branch][-1]


@dataclass
class Hub:
    """`accounts`: token -> user. `failing`: how many of the next requests are answered with 503. `licences`: of public
    repositories that are only read. `asked`: paths."""

    accounts: dict[str, str]
    repositories: dict[str, Repository] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    licences: dict[str, str] = field(default_factory=dict)
    failing: int = 0
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def commits(self, repository: str, branch: str = "main") -> int:
        return len(self.repositories[repository].branches[branch]) - 1


class Refused(Exception):
    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        self.hub.asked.append(f"{self.command} {path}")
        try:
            if self.hub.failing > 0:
                self.hub.failing -= 1
                raise Refused(503, "The hub is being repaired.")
            for method, pattern, name in _ROUTES:
                found = re.fullmatch(pattern, path)
                if method == self.command and found:
                    return self._answer(200, getattr(self, f"_{name}")(body, **found.groupdict()))
            raise Refused(404, "There is no such page.")
        except Refused as refused:
            self._answer(refused.status, {"error": refused.message}, refused.code)

    do_GET = do_POST = do_PUT = do_HEAD = _serve  # noqa: N815 - http.server's own names

    def _answer(self, status: int, told: Any, code: str = "") -> None:
        content = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if code:
            self.send_header("X-Error-Code", code)
        if status >= 400:
            self.send_header("X-Error-Message", told["error"])
        self.end_headers()
        self.wfile.write(content)

    # ---- who asks, and for what

    def _user(self) -> str:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token not in self.hub.accounts:
            raise Refused(401, f"Invalid credentials in Authorization header ({token})")
        return self.hub.accounts[token]

    def _seen(self, name: str) -> Repository:
        user, found = self._user(), self.hub.repositories.get(name)
        if found is None or (found.private and found.owner != user):
            raise Refused(404, "Repository not found", "RepoNotFound")
        return found

    def _own(self, name: str) -> Repository:
        found = self._seen(name)
        if found.owner != self._user():
            raise Refused(403, "Forbidden: you must have write access to this repository.")
        return found

    # ---- requests

    def _info(self, body: bytes, repo: str, branch: str | None) -> dict[str, Any]:
        if repo in self.hub.licences:
            return self._source(body, repo, branch or "main")
        found = self._seen(repo)
        return {"id": repo, "private": found.private, "sha": found.head(branch or "main"), "siblings": [], "tags": []}

    def _source(self, body: bytes, repo: str, branch: str) -> dict[str, Any]:
        if repo not in self.hub.licences:
            raise Refused(404, "Repository not found", "RepoNotFound")
        return {"id": repo, "private": False, "sha": branch, "cardData": {"license": self.hub.licences[repo]}}

    def _create(self, body: bytes) -> dict[str, Any]:
        sent, user = json.loads(body), self._user()
        owner = sent.get("organization") or user
        name = f"{owner}/{sent['name']}"
        if owner != user:
            raise Refused(403, f'You don\'t have the rights to create a model under the namespace "{owner}"')
        if name in self.hub.repositories:
            raise Refused(409, "You already created this model repo")
        self.hub.repositories[name] = Repository(owner, sent.get("visibility") == "private")
        return {"url": f"{self.hub.url}/{name}", "name": name, "id": name}

    def _validate(self, body: bytes) -> dict[str, Any]:
        return {"errors": [], "warnings": []}

    def _preupload(self, body: bytes, repo: str, branch: str) -> dict[str, Any]:
        held = self._own(repo).files(branch)
        return {"files": [self._mode(each["path"], held) for each in json.loads(body)["files"]]}

    def _mode(self, path: str, held: dict[str, bytes]) -> dict[str, Any]:
        regular = path.endswith(REGULAR)
        oid = _git_oid(held[path]) if regular and path in held else None
        if not regular and path in held:
            oid = hashlib.sha256(held[path]).hexdigest()
        return {"path": path, "uploadMode": "regular" if regular else "lfs", "shouldIgnore": False, "oid": oid}

    def _branch(self, body: bytes, repo: str, branch: str) -> dict[str, Any]:
        found = self._own(repo)
        if branch in found.branches:
            raise Refused(409, "Reference already exists")
        found.branches[branch] = [found.files()]
        return {}

    def _lfs(self, body: bytes, repo: str) -> dict[str, Any]:
        self._own(repo)
        return {"transfer": "basic", "objects": [self._upload(each) for each in json.loads(body)["objects"]]}

    def _upload(self, wanted: dict[str, Any]) -> dict[str, Any]:
        told = {"oid": wanted["oid"], "size": wanted["size"]}
        if wanted["oid"] in self.hub.objects:
            return told
        return told | {"actions": {"upload": {"href": f"{self.hub.url}/lfs/{wanted['oid']}", "header": {}}}}

    def _put(self, body: bytes, oid: str) -> dict[str, Any]:
        if hashlib.sha256(body).hexdigest() != oid:
            raise Refused(400, "These are other bytes.")
        self.hub.objects[oid] = body
        return {}

    def _commit(self, body: bytes, repo: str, branch: str) -> dict[str, Any]:
        found = self._own(repo)
        files = dict(found.files(branch))
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
        found.branches[branch].append(files)
        head = found.head(branch)
        return {"success": True, "commitOid": head, "commitUrl": f"{self.hub.url}/{repo}/commit/{head}"}


def _git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def running(accounts: dict[str, str]) -> Iterator[Hub]:
    hub = Hub(accounts)
    with served(type("Handler", (_Handler,), {"hub": hub})) as hub.url:
        yield hub
