"""The files under a prefix of a bucket of any S3-compatible store.

Each object carries its sha256 as metadata, and one that is there and equal is not sent again. `publication.json` comes
last and lists all of them: where it is, everything is.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from publishing.bundle import Bundle, BundleFile
from publishing.errors import TargetRefused, TargetUnavailable, of_status
from publishing.targets._base import Delivered, Say, Target

PARAMETERS = {
    "endpoint": {
        "type": "string",
        "format": "uri",
        "pattern": "[a-z]+://[^/?#]*/?",
        "description": "URL of the store, without bucket or path.",
    },
    "bucket": {
        "type": "string",
        "pattern": "[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
        "description": "Bucket; it must exist.",
    },
    "prefix": {
        "type": "string",
        "pattern": "[^/\\\\\x00].{0,400}|",
        "default": "",
        "description": "What the objects' keys begin with, as models/birds; empty: the job's id.",
    },
    "region": {"type": "string", "pattern": "[a-z0-9-]{1,40}", "default": "us-east-1", "description": "Its region."},
}
CREDENTIALS = {
    "access_key": {"description": "Access key id.", "required": True},
    "secret_key": {"description": "Secret access key.", "required": True},
    "session_token": {"description": "Of temporary credentials."},
}
WHAT, LAST = "The S3 store", "publication.json"
MARK = "x-amz-meta-sha256"
CONNECT_SECONDS, READ_SECONDS, TRIES = 10.0, 60.0, 2
REFUSED = frozenset(
    {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "AuthorizationHeaderMalformed"}
)


class S3(Target):
    def publish(self, bundle: Bundle, say: Say) -> Delivered:
        bucket, prefix = self.parameters["bucket"], self._prefix(bundle)
        with _explained():
            client = self._client()
            self._knock(client, prefix)
            sent = [file.name for file in bundle.files if self._send(client, bundle, file, prefix)]
            self._close(client, bundle, prefix)
        say(f"{len(sent)} of {len(bundle.files)} objects were new or changed")
        return Delivered({"bucket": bucket, "prefix": prefix, "objects": len(bundle.files) + 1,
                          "url": f"s3://{bucket}/{prefix}"})  # fmt: skip

    def _prefix(self, bundle: Bundle) -> str:
        return (self.parameters["prefix"].rstrip("/") or bundle.job) + "/"

    def _client(self) -> Any:
        import urllib3
        from minio import Minio

        url, given = urlsplit(self.parameters["endpoint"]), self.credentials
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
        pool = urllib3.PoolManager(timeout=timeout, retries=urllib3.Retry(TRIES, status=0, backoff_factor=0.2))
        return Minio(
            endpoint=url.netloc, access_key=given["access_key"], secret_key=given["secret_key"],
            session_token=given.get("session_token"), secure=url.scheme == "https",
            region=self.parameters["region"], http_client=pool,
        )  # fmt: skip

    def _knock(self, client: Any, prefix: str) -> None:
        """A first request whose refusal says why; those of HEAD have no words. One that may write and not list goes
        on."""
        from minio.error import S3Error

        try:
            next(iter(client.list_objects(bucket_name=self.parameters["bucket"], prefix=prefix)), None)
        except S3Error as error:
            if error.code != "AccessDenied":
                raise

    def _send(self, client: Any, bundle: Bundle, file: BundleFile, prefix: str) -> bool:
        """Whether it was not there yet."""
        bucket, key = self.parameters["bucket"], prefix + file.name
        if self._held(client, key) == (file.size_bytes, file.sha256):
            return False
        client.fput_object(
            bucket_name=bucket, object_name=key, file_path=str(bundle.path(file.name)), content_type=file.media_type,
            metadata={MARK: file.sha256},
        )  # fmt: skip
        return True

    def _held(self, client: Any, key: str) -> tuple[int, str] | None:
        from minio.error import S3Error

        try:
            found = client.stat_object(bucket_name=self.parameters["bucket"], object_name=key)
        except S3Error as error:
            if error.code in ("NoSuchKey", "NoSuchObject", "AccessDenied"):  # the last: of one that may not list
                return None
            raise
        headers = {name.lower(): value for name, value in (found.metadata or {}).items()}
        return found.size or 0, headers.get(MARK, "")

    def _close(self, client: Any, bundle: Bundle, prefix: str) -> None:
        files = [{"name": each.name, "bytes": each.size_bytes, "sha256": each.sha256} for each in bundle.files]
        content = json.dumps({"job": bundle.job, "files": files}, indent=1, sort_keys=True).encode()
        client.put_object(
            bucket_name=self.parameters["bucket"], object_name=prefix + LAST, data=io.BytesIO(content),
            length=len(content), content_type="application/json",
        )  # fmt: skip


@contextmanager
def _explained() -> Iterator[None]:
    import urllib3
    from minio.error import InvalidResponseError, MinioException, S3Error, ServerError

    try:
        yield
    except S3Error as error:
        status = 401 if error.code in REFUSED else (error.response.status if error.response else 400)
        raise of_status(status, f"{error.code}: {error.message}", WHAT) from error
    except (InvalidResponseError, ServerError) as error:
        # The first is an answer that is no XML, as of a gate in front of the store; the second one without words.
        status = int(getattr(error, "_code", 0) or getattr(error, "_status_code", 0))
        raise of_status(status if status >= 400 else 502, str(error), WHAT) from error
    except urllib3.exceptions.HTTPError as error:
        remedy = "Nothing is lost: retry when it answers again."
        raise TargetUnavailable(f"{WHAT} does not answer: {type(error).__name__}.", remedy) from error
    except (MinioException, ValueError) as error:
        raise TargetRefused(f"{WHAT} cannot be used so: {error}", "Correct the parameters.") from error


ENTRY = S3
