"""A local server that takes what `wandb sync` uploads, and keeps it. It answers as much as the client waits for."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.publishing.http_server import JsonHandler, served

Json = dict[str, Any]
UPLOAD = "/upload/"


@dataclass
class Wandb:
    """`runs`: what each UpsertBucket said; `history`: rows by their place; `files`: content by name."""

    url: str = ""
    runs: list[Json] = field(default_factory=list)
    history: dict[int, Json] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def answer(self, body: Json) -> Json:
        asked, variables = body["query"], body.get("variables") or {}
        if "upsertBucket" in asked:
            self.runs.append(variables)
            project = {"id": "p", "name": variables["project"], "entity": {"id": "e", "name": "me"}}
            bucket = {"id": "b", "name": variables["name"], "displayName": variables["displayName"],
                      "config": "{}", "historyLineCount": 0, "project": project}  # fmt: skip
            return {"upsertBucket": {"bucket": bucket, "inserted": True}}
        if "createRunFiles" in asked:
            files = [{"name": name, "uploadUrl": f"{self.url}{UPLOAD}{name}"} for name in variables["files"]]
            return {"createRunFiles": {"runID": "b", "uploadHeaders": [], "files": files}}
        return {"viewer": {"id": "u", "entity": "me", "username": "me", "flags": "{}"}, "serverInfo": {"features": []}}

    def stream(self, body: Json) -> None:
        told = (body.get("files") or {}).get("wandb-history.jsonl") or {"offset": 0, "content": []}
        for number, line in enumerate(told["content"], told["offset"]):
            self.history[number] = json.loads(line)


@contextmanager
def running() -> Iterator[Wandb]:
    state = Wandb()

    class Handler(JsonHandler):
        def _serve(self) -> None:
            content, answer = self.sent(), {}
            if self.headers.get("Content-Encoding") == "gzip":
                content = gzip.decompress(content)
            if self.path == "/graphql":
                answer = {"data": state.answer(json.loads(content))}
            elif self.path.startswith(UPLOAD):
                state.files[self.path.removeprefix(UPLOAD)] = content
            elif self.path.endswith("/file_stream"):
                state.stream(json.loads(content))
            self.answer(200, answer)

        do_GET = do_POST = do_PUT = _serve  # noqa: N815 - http.server's own names

    with served(Handler) as state.url:
        yield state
