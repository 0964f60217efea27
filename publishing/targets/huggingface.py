"""A model repository on the Hugging Face hub, in the layout of timm or transformers where the student has one.

The repository is made if it is not there. Files that are there and equal are not sent, and a commit without changes is
not made: sending again gives the same commit. Other files of the repository stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from publishing.bundle import Bundle, BundleSource
from publishing.errors import TargetForbidden, TargetRefused, TargetUnavailable, of_status
from publishing.hub_layout import lay_out
from publishing.licences import Licence, licence, warnings
from publishing.targets._base import Delivered, Say, Target

PARAMETERS = {
    "repository": {
        "type": "string",
        "pattern": "[A-Za-z0-9_-][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,95}",
        "description": "Owner and name of the repository, as owner/name.",
    },
    "private": {
        "type": "boolean",
        "default": True,
        "description": "Whether only its owner sees it. A repository that is public already is then refused.",
    },
    "branch": {
        "type": "string",
        "pattern": "[A-Za-z0-9_][A-Za-z0-9_./-]{0,199}",
        "default": "main",
        "description": "Branch that the commit goes to; made if it is not there.",
    },
    "message": {
        "type": "string",
        "pattern": "[^\n]{0,200}",
        "default": "",
        "description": "First line of the commit; empty: it names the job.",
    },
}
CREDENTIALS = {"token": {"description": "An access token with the right to write.", "required": True}}
WHAT = "The Hugging Face hub"


class HuggingFace(Target):
    libraries = ("huggingface_hub",)

    def publish(self, bundle: Bundle, say: Say) -> Delivered:
        from huggingface_hub import HfApi

        repository, branch = self.parameters["repository"], self.parameters["branch"]
        # The endpoint is the operator's setting, in the environment (HF_ENDPOINT).
        api = HfApi(token=self.credentials["token"], library_name="retort")
        with _explained():
            found_licences = [_licence(api, each) for each in bundle.sources]
            folder = lay_out(bundle, repository, bundle.folder.parent / "hub", found_licences)
            self._prepare(api, repository, branch, say)
            found = self._commit(api, folder, bundle)
        say(f"{repository} is at commit {found.oid}")
        url = f"{api.endpoint}/{repository}"
        receipt = {"repository": repository, "branch": branch, "commit": found.oid, "url": f"{url}/tree/{found.oid}"}
        told = warnings(found_licences)
        for line in told:
            say(line)
        return Delivered(receipt | {"licences": [asdict(each) for each in found_licences], "warnings": told})

    def _prepare(self, api: Any, repository: str, branch: str, say: Say) -> None:
        from huggingface_hub.errors import RepositoryNotFoundError

        private = self.parameters["private"]
        try:
            found = api.repo_info(repository)
        except RepositoryNotFoundError:
            api.create_repo(repository, private=private, exist_ok=True)
            say(f"made {'the private' if private else 'the public'} repository {repository}")
            found = api.repo_info(repository)
        if private and not found.private:
            raise TargetRefused(
                f"{repository} is public, and the publication is to be private.",
                'Send "private": false, or name another repository.',
            )
        if branch != "main":
            api.create_branch(repository, branch=branch, exist_ok=True)

    def _commit(self, api: Any, folder: Path, bundle: Bundle) -> Any:
        message = self.parameters["message"] or f"{bundle.title}: student of Retort job {bundle.job}"
        return api.upload_folder(
            repo_id=self.parameters["repository"], folder_path=folder, revision=self.parameters["branch"],
            commit_message=message,
        )  # fmt: skip


def _licence(api: Any, source: BundleSource) -> Licence:
    """As the source's card names it at that revision; a repository that is not seen any more names none."""
    from huggingface_hub.errors import HfHubHTTPError

    whose = f"{'teacher' if source.kind == 'model' else 'dataset'} {source.repository}"
    try:
        found = api.repo_info(source.repository, repo_type=source.kind, revision=source.revision)
    except HfHubHTTPError as error:
        if error.response.status_code not in (401, 403, 404):
            raise
        return licence(whose, None)
    named = found.card_data.get("license") if found.card_data else None
    return licence(whose, named if isinstance(named, str) else None)


@contextmanager
def _explained() -> Iterator[None]:
    import httpx
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

    try:
        yield
    except RepositoryNotFoundError as error:
        # The hub does not tell a stranger's private repository from none, and neither from a token that it forgot.
        status = error.response.status_code
        if status == 401:
            raise of_status(status, error.server_message or "", WHAT) from error
        raise TargetForbidden(
            f"{WHAT} shows these credentials no such repository ({status}).",
            "Name a repository that belongs to them, or store a token with the right to write there.",
        ) from error
    except HfHubHTTPError as error:
        raise of_status(error.response.status_code, error.server_message or "", WHAT) from error
    except httpx.TransportError as error:
        remedy = "Nothing is lost: retry when it answers again."
        raise TargetUnavailable(f"{WHAT} does not answer: {type(error).__name__}.", remedy) from error
    except ValueError as error:
        raise TargetRefused(f"{WHAT} takes no such card: {error}", "See the message.") from error


ENTRY = HuggingFace
