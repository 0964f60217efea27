"""An artifact in an OCI registry: each file a layer with its name, as `oras pull` reads it back.

Layers are found by their digests and not sent twice, and the manifest of the same files is the same: sending again
gives the same digest.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from publishing.bundle import Bundle
from publishing.errors import TargetUnavailable, of_status
from publishing.targets._base import Delivered, Say, Target

PARAMETERS = {
    "registry": {
        "type": "string",
        "format": "uri",
        "pattern": "[a-z]+://[^/?#]*/?",
        "description": "URL of the registry, as https://ghcr.io.",
    },
    "repository": {
        "type": "string",
        "pattern": "[a-z0-9]+([._/-]+[a-z0-9]+){0,50}",
        "description": "Repository in it, as me/birds.",
    },
    "tag": {
        "type": "string", "pattern": "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|", "default": "",
        "description": "Tag; empty: the job's id.",
    },
}  # fmt: skip
CREDENTIALS = {
    "username": {"description": "Of the account, where the registry wants one."},
    "password": {"description": "Its password, or an access token."},
}
WHAT = "The registry"
TITLE = "org.opencontainers.image.title"
SECONDS = (10.0, 120.0)  # to connect, and between two bytes


class OCI(Target):
    libraries = ("oras",)

    def publish(self, bundle: Bundle, say: Say) -> Delivered:
        url, tag = urlsplit(self.parameters["registry"]), self.parameters["tag"] or bundle.job.replace("_", "-").lower()
        place = f"{url.netloc}/{self.parameters['repository']}:{tag}"
        names = bundle.folder.parent / "titles.json"
        names.write_text(json.dumps(_titles(bundle)))
        client = _client(url.scheme == "http", url.netloc, self.credentials)
        with _explained(client):
            pushed = client.push(
                target=place, files=[f"{bundle.path(each.name)}:{each.media_type}" for each in bundle.files],
                annotation_file=str(names), disable_path_validation=True, quiet=True,
            )  # fmt: skip
        digest = pushed.headers["Docker-Content-Digest"]
        say(f"{place} is {digest}")
        return Delivered({"reference": place, "digest": digest, "url": f"oci://{place}"})


def _titles(bundle: Bundle) -> dict[str, dict[str, str]]:
    """Annotations by path, as `oras` reads them; those of the manifest hold no time, or it would never be the same."""
    titles = {str(bundle.path(each.name)): {TITLE: each.name} for each in bundle.files}
    return titles | {"$manifest": {"org.opencontainers.image.description": f"Student of Retort job {bundle.job}"}}


def _client(insecure: bool, host: str, credentials: dict[str, str]) -> Any:
    """A client that remembers the last status: its own errors do not tell it."""
    import requests
    from oras.provider import Registry

    class Client(Registry):  # type: ignore[misc] # the library has no types
        status = 0

        def do_request(self, *args: Any, **more: Any) -> Any:
            answer = super().do_request(*args, **more)
            self.status = answer.status_code
            return answer

    scheme = _scheme(requests, f"http{'' if insecure else 's'}://{host}/v2/")
    if scheme == "basic" and not credentials.get("username"):
        raise of_status(401, "it wants a user name and a password", WHAT)
    client = Client(hostname=host, insecure=insecure, auth_backend="basic" if scheme == "basic" else "token")
    client.session.mount("http", _patient(requests))
    client.session.hooks["response"].append(lambda answer, **_: setattr(client, "status", answer.status_code))
    if credentials.get("username"):
        client.auth.set_basic_auth(credentials["username"], credentials.get("password", ""))
    return client


def _patient(requests: Any) -> Any:
    """An adapter with time limits: the client gives none."""

    class Patient(requests.adapters.HTTPAdapter):  # type: ignore[misc]
        def send(self, request: Any, **more: Any) -> Any:
            return super().send(request, **more | {"timeout": SECONDS})

    return Patient()


def _scheme(requests: Any, url: str) -> str:
    """How the registry wants to be told who asks: basic, bearer, or "" for not at all."""
    try:
        answer = requests.get(url, timeout=SECONDS)
    except requests.RequestException as error:
        raise _silent(error) from error
    scheme = str(answer.headers.get("Www-Authenticate", "")).partition(" ")[0].lower()
    if answer.status_code >= 500 or (answer.status_code in (401, 403) and not scheme):
        # The second: a refusal that asks for nothing, as of a gate in front. The client would try for minutes.
        raise of_status(answer.status_code, "", WHAT)
    return scheme


@contextmanager
def _explained(client: Any) -> Iterator[None]:
    import requests

    try:
        yield
    except requests.RequestException as error:
        if error.response is not None and error.response.status_code >= 400:
            raise of_status(error.response.status_code, "", WHAT) from error
        raise _silent(error) from error
    except ValueError as error:
        raise of_status(client.status or 400, str(error), WHAT) from error


def _silent(error: BaseException) -> TargetUnavailable:
    remedy = "Nothing is lost: retry when it answers again."
    return TargetUnavailable(f"{WHAT} does not answer: {type(error).__name__}.", remedy)


ENTRY = OCI
