"""The only place that tells embedded from full: unset URLs mean SQLite, a folder and an in-process doorbell."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from store.egress import Policy
from store.minisign import SigningKey
from store.sealing import Sealer
from store.secret_files import SecretFiles

GUESSABLE = frozenset({"", "minioadmin", "password", "secret", "changeme", "change-me", "admin", "retort", "postgres"})
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
DRIVERS = frozenset({"sqlite", "postgresql+psycopg"})
#: What every number must fit: INTEGER and BIGINT columns, the database's calendar, a thread's longest wait.
MOST_SECONDS, MOST_DAYS, MOST_BYTES = 10**9, 36500, 2**60
MOST_UID = 2**31 - 2 - 100  # of one worker's row


class Settings(BaseSettings):
    """Read from the environment (`RETORT_...`; `RETORT_..._FILE` names a file that holds the value). Refuses to
    start rather than run wrong."""

    model_config = SettingsConfigDict(env_prefix="RETORT_", extra="forbid", hide_input_in_errors=True)

    data_dir: Path = Field(Path("retort-data"), description="Folder of the embedded database, objects and scratch.")
    database_url: str = Field("", description="SQLAlchemy URL. Empty: SQLite in data_dir.")
    redis_url: str = Field("", description="Celery broker URL. Empty: in-process doorbell (embedded only).")

    database_answer_seconds: float = Field(
        10, ge=1, le=MOST_SECONDS, description="Longest that the API waits for one answer of a database server."
    )
    s3_answer_seconds: float = Field(
        20, ge=1, le=MOST_SECONDS, description="Longest that the API waits for the S3 server's next byte."
    )

    s3_endpoint: str = Field("", description="URL of the S3 server as API and workers reach it. Empty: a folder.")
    s3_public_endpoint: str = Field("", description="URL of the same server as clients reach it. Empty: no redirects.")
    s3_bucket: str = "retort"
    s3_region: str = "us-east-1"
    s3_access_key: str = ""
    s3_secret_key: SecretStr = SecretStr("")

    host: str = Field("127.0.0.1", description="Address the API listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port the API listens on; 0: any free one.")
    api_key: SecretStr = Field(
        SecretStr(""), description="Bearer key of the first tenant, made on start. Empty: no keys, loopback only."
    )
    signing_key: SecretStr = Field(
        SecretStr(""),
        description="Ed25519 key that signs manifests: base64 of 32 random bytes. Empty: made in data_dir/signing.key.",
    )
    secrets_key: SecretStr = Field(
        SecretStr(""),
        description="Key that seals tenants' credentials: base64 of 32 random bytes; older ones behind it, comma "
        "between. Empty: none are taken.",
    )
    max_secrets: int = Field(50, ge=0, le=10**9, description="Credentials of one tenant.")
    max_upload_bytes: int = Field(20 * 2**30, gt=0, le=MOST_BYTES, description="Largest file accepted.")
    upload_part_bytes: int = Field(
        16 * 2**20, ge=2**16, le=5 * 2**30, description="Size of an upload's parts, where 10,000 of them suffice."
    )
    upload_expiry_seconds: float = Field(
        86400, gt=0, le=MOST_SECONDS, description="Uploads untouched for this long are removed."
    )
    inspect_wait_seconds: float = Field(60, ge=0, le=300, description="How long a POST waits for an inspection.")

    max_running_jobs: int = Field(
        0, ge=0, le=10**9, description="Jobs of one tenant that run side by side; 0: no limit."
    )
    max_queued_jobs: int = Field(0, ge=0, le=10**9, description="Jobs of one tenant that wait; 0: no limit.")
    max_stored_bytes: int = Field(0, ge=0, le=MOST_BYTES, description="Bytes that one tenant keeps; 0: no limit.")
    rate_limit_per_second: float = Field(
        100,
        ge=0,
        le=10**9,
        description="Requests a second of one key to one API process, over a longer time; 0: no limit.",
    )
    rate_limit_burst: int = Field(
        200, ge=1, le=10**9, description="Requests of one key at once, before the rate limit holds."
    )

    slots: int = Field(1, ge=1, le=64, description="Trainers that one worker runs side by side.")
    devices_per_slot: int = Field(
        1,
        ge=1,
        le=64,
        description="Devices of one slot, which a job may use by as many processes: GPUs, or shares of the CPU's "
        "cores.",
    )
    ray_address: str = Field(
        "", description="Ray cluster for jobs on several hosts, as host:port of its head. Empty: none."
    )
    ray_shared_dir: Path | None = Field(
        None, description="Folder that this worker and every host of the cluster have at the same path."
    )
    predictors: int = Field(
        2, ge=0, le=16, description="Finished students that one worker holds ready to be asked; 0: none."
    )
    predict_warm_seconds: float = Field(
        60, gt=0, le=MOST_SECONDS, description="A student that nobody asks for so long is let go."
    )
    predict_wait_seconds: float = Field(
        60, ge=1, le=600, description="Longest that a request to a student may wait for its answer."
    )
    predictor_memory_bytes: int = Field(
        16 * 2**30,
        ge=2**31,
        le=MOST_BYTES,
        description="Memory of its own that the process of a finished student which is asked may have.",
    )
    require_isolation: bool = Field(
        False, description="Whether a worker only starts where the kernel isolates trainers (Landlock, seccomp)."
    )
    worker_uid: int = Field(
        0, ge=0, le=MOST_UID, description="User and group that a worker which starts as root becomes; 0: it stays root."
    )
    trainer_uid: int = Field(
        0,
        ge=0,
        le=MOST_UID,
        description="First of the user ids of what loads strangers' files: inspectors, then each slot's trainers, "
        "then predictors. 0: they run as the worker.",
    )
    lease_seconds: float = Field(
        60, gt=0, le=MOST_SECONDS, description="A worker silent for this long has lost its job."
    )
    renew_seconds: float = Field(15, gt=0, le=MOST_SECONDS, description="How often a worker renews its lease.")
    sweep_seconds: float = Field(
        30, gt=0, le=MOST_SECONDS, description="How often lost leases and unrung jobs are looked for."
    )
    cancel_grace_seconds: float = Field(30, ge=0, le=MOST_SECONDS, description="From SIGTERM to SIGKILL of a trainer.")
    max_attempts: int = Field(3, ge=1, le=100, description="Attempts a job gets at system faults.")
    retry_back_off_seconds: float = Field(
        5, ge=0, le=MOST_SECONDS, description="Wait after the first system fault; doubles each time."
    )
    webhook_hosts: str = Field("*", description="Hosts that webhooks may call, comma between, * any part; empty: none.")
    webhook_http_hosts: str = Field("", description="Which of them also by plain http.")
    webhook_networks: str = Field("", description="Networks that webhooks may reach though not public: 10.0.0.0/8, ...")
    webhook_timeout_seconds: float = Field(15, gt=0, le=60, description="Longest time that one delivery may take.")
    webhook_tries: int = Field(12, ge=1, le=50, description="Tries of one delivery, before it is given up.")
    webhook_retry_seconds: float = Field(
        5, ge=0, le=MOST_SECONDS, description="Wait after the first; three times as long each time."
    )
    webhook_disable_seconds: float = Field(
        5 * 86400, gt=0, le=MOST_SECONDS, description="Failing for so long disables a webhook."
    )
    max_webhooks: int = Field(20, ge=0, le=10**9, description="Webhooks of one tenant.")
    publish_hosts: str = Field(
        "*", description="Hosts that students may be published to, comma between, * any part; empty: none."
    )
    publish_http_hosts: str = Field("", description="Which of them also by plain http.")
    publish_networks: str = Field(
        "", description="Networks that may be published to though not public: 10.0.0.0/8, ..."
    )
    publish_seconds: float = Field(
        3600, gt=0, le=MOST_SECONDS, description="Longest time that one attempt to publish may take."
    )
    dataset_hosts: str = Field(
        "", description="Hosts that datasets may be fetched from, comma between, * any part; empty: none."
    )
    dataset_http_hosts: str = Field("", description="Which of them also by plain http.")
    dataset_networks: str = Field(
        "", description="Networks that datasets may be fetched from though not public: 10.0.0.0/8, ..."
    )
    dataset_buckets: str = Field(
        "", description="Buckets (or bucket/prefix) of the S3 server that any tenant may name datasets in; empty: none."
    )
    dataset_fetch_seconds: float = Field(
        3600, gt=0, le=MOST_SECONDS, description="Longest time that fetching one file may take."
    )
    shard_cache: Path | None = Field(
        None, description="Where workers keep shards of datasets that stay where they lie. Empty: in scratch_dir."
    )
    shard_cache_bytes: int = Field(
        64 * 2**30,
        gt=0,
        le=MOST_BYTES,
        description="Bytes of shards that all workers of a machine keep there; as many in ray_shared_dir.",
    )
    shard_readers: int = Field(
        0,
        ge=0,
        le=64,
        description="Readers of new datasets' shards of one worker; 0: one for every four cores, at most 8.",
    )
    shard_part_bytes: int = Field(
        2**30, gt=0, le=MOST_BYTES, description="Bytes of a new dataset's shards that one reader takes at a time."
    )
    huggingface: bool = Field(False, description="Teachers and datasets from the hub, by pinned revision.")
    huggingface_endpoint: str = Field("https://huggingface.co", description="The hub, or a mirror of it.")
    max_runtime_seconds: int = Field(
        0, ge=0, le=MOST_SECONDS, description="Longest a job may run, whatever it asks for; 0: no limit."
    )
    runtime_grace_seconds: float = Field(
        600, ge=0, le=MOST_SECONDS, description="Behind that limit: time to evaluate and package."
    )
    keep_jobs_days: float = Field(
        0, ge=0, le=MOST_DAYS, description="Ended jobs go with all they made after so long; 0: never."
    )
    keep_files_days: float = Field(
        0, ge=0, le=MOST_DAYS, description="Artifacts and checkpoints of ended jobs; 0: as the job."
    )
    keep_history_days: float = Field(
        0, ge=0, le=MOST_DAYS, description="Events, metrics and logs of ended jobs; 0: as the job."
    )
    keep_deliveries_days: float = Field(
        30, gt=0, le=MOST_DAYS, description="Webhook messages that were delivered or given up."
    )
    orphan_grace_days: float = Field(
        3, ge=0, le=MOST_DAYS, description="Objects that no row names go after so long; 0: never."
    )
    tidy_seconds: float = Field(3600, gt=0, le=MOST_SECONDS, description="How often a worker looks for what is to go.")
    scratch_dir: Path | None = Field(None, description="Where runs keep inputs and checkpoints. Empty: in data_dir.")
    alive_file: Path | None = Field(None, description="A worker touches it while it lives, for health checks.")
    log_level: str = "INFO"
    log_format: Literal["text", "json"] = Field("text", description="json: a line of JSON each, with ids.")
    otel_endpoint: str = Field("", description="OTLP/HTTP collector for traces, as http://host:4318. Empty: no traces.")
    metrics_open: bool = Field(False, description="Whether /metrics needs no key.")

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource, dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:  # fmt: skip
        return init_settings, SecretFiles(settings_cls), env_settings

    @cached_property
    def resolved_database_url(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'retort.db'}"

    @property
    def database_file(self) -> Path | None:
        """Of SQLite; None for a server's database."""
        path = self.resolved_database_url.removeprefix("sqlite:///")
        return Path(path).absolute() if path != self.resolved_database_url else None

    @property
    def embedded(self) -> bool:
        """One process, nothing to install: no Redis, so the doorbell must be in process."""
        return not self.redis_url

    @cached_property
    def webhook_policy(self) -> Policy:
        return Policy.read(self.webhook_hosts, self.webhook_http_hosts, self.webhook_networks)

    @cached_property
    def dataset_policy(self) -> Policy:
        return Policy.read(self.dataset_hosts, self.dataset_http_hosts, self.dataset_networks)

    @cached_property
    def publish_policy(self) -> Policy:
        return Policy.read(self.publish_hosts, self.publish_http_hosts, self.publish_networks)

    @cached_property
    def sealer(self) -> Sealer | None:
        """What seals credentials; None where there is no key to do it with."""
        text = self.secrets_key.get_secret_value()
        return Sealer.of_text(text) if text else None

    @cached_property
    def huggingface_policy(self) -> Policy:
        """The hub answers a file's request by a redirect to where large files lie."""
        host = urlsplit(self.huggingface_endpoint).hostname or ""
        hosts = f"{host},*.hf.co,*.huggingface.co" if self.huggingface else ""
        return Policy.read(hosts, self.dataset_http_hosts, self.dataset_networks)

    @property
    def scratch(self) -> Path:
        return (self.scratch_dir or self.data_dir / "scratch").absolute()

    @property
    def kept_shards(self) -> Path:
        """Apart from what `retort shards` keeps in the same folder: that unpacks parquet."""
        return (self.shard_cache or self.scratch / ".shards").absolute() / "whole"  # sweeps pass over hidden folders

    @property
    def shared_shards(self) -> Path:
        """Those of jobs on several hosts, in the folder that a cluster shares."""
        assert self.ray_shared_dir is not None
        return self.ray_shared_dir / ".shards" / "whole"  # sweeps look at workers' folders alone

    @property
    def incoming(self) -> Path:
        """Where the API keeps bodies while they arrive. Not in `scratch`: workers clear that of what is not theirs."""
        return self.data_dir.absolute() / "incoming"

    @model_validator(mode="after")
    def _refuse_to_run_wrong(self) -> Self:
        if self.renew_seconds * 2 > self.lease_seconds:
            raise ValueError(
                f"renew_seconds ({self.renew_seconds:g}) must be at most half of lease_seconds "
                f"({self.lease_seconds:g}), or one late renewal loses the job. Set RETORT_RENEW_SECONDS lower."
            )
        for name in ("webhook", "dataset", "publish"):
            _check_networks(name, getattr(self, f"{name}_networks"))
        if self.dataset_buckets and not self.s3_endpoint:
            raise ValueError(
                "RETORT_DATASET_BUCKETS is set but there is no S3 server. Set RETORT_S3_ENDPOINT, or unset it."
            )
        if self.s3_bucket in (entry.strip().partition("/")[0] for entry in self.dataset_buckets.split(",")):
            raise ValueError(
                f"RETORT_DATASET_BUCKETS names {self.s3_bucket}, where every tenant's objects lie. Use other buckets."
            )
        _check_key("SIGNING", self.signing_key, SigningKey.of_text)
        _check_key("SECRETS", self.secrets_key, Sealer.of_text)
        if self.s3_endpoint and (not self.s3_access_key or self.s3_secret_key.get_secret_value() in GUESSABLE):
            raise ValueError(
                "RETORT_S3_ENDPOINT is set but RETORT_S3_ACCESS_KEY or RETORT_S3_SECRET_KEY is missing or guessable. "
                "Set both to the store's own credentials."
            )
        if self.s3_endpoint and self.upload_part_bytes < 5 * 2**20:
            raise ValueError(
                "RETORT_UPLOAD_PART_BYTES is below 5 MiB, which S3 servers refuse. Set it to 5242880 or more."
            )
        if self.trainer_uid and self.embedded:
            raise ValueError(
                "RETORT_TRAINER_UID is set but RETORT_REDIS_URL is not: in `retort serve` trainers run as the service, "
                "whose data lies beside theirs. Unset it, or run the full stack."
            )
        _check_cluster(self)
        last = self.trainer_uid + self.slots + self.predictors
        if self.trainer_uid and self.trainer_uid <= self.worker_uid <= last:
            raise ValueError(
                f"RETORT_TRAINER_UID={self.trainer_uid} with {self.slots} slots and {self.predictors} predictors takes "
                f"in the worker's own user, {self.worker_uid}. Set it to the first of a row of ids that nobody has."
            )
        if self.redis_url and self.resolved_database_url.startswith("sqlite"):
            raise ValueError(
                "RETORT_REDIS_URL is set but the database is SQLite, which several machines cannot share. "
                "Set RETORT_DATABASE_URL=postgresql+psycopg://..., or unset RETORT_REDIS_URL to run embedded."
            )
        url = _database_url(self.resolved_database_url)
        if url.host and url.host not in LOOPBACK and url.password is not None and str(url.password) in GUESSABLE:
            raise ValueError(
                "RETORT_DATABASE_URL has a guessable password and a host that others can reach. "
                "Give the database user a random one."
            )
        key = self.api_key.get_secret_value()
        if self.host not in LOOPBACK and not key:
            raise ValueError(
                f"RETORT_HOST={self.host} is reachable from other machines but RETORT_API_KEY is not set. "
                "Set it to a random value (python -c 'import secrets; print(secrets.token_urlsafe(32))')."
            )
        if key and (len(key) < 20 or key in GUESSABLE):
            raise ValueError("RETORT_API_KEY is guessable: use at least 20 random characters.")
        return self


def _check_cluster(settings: Settings) -> None:
    """What a cluster's hosts cannot keep: they have the network, and one user."""
    if not settings.ray_address:
        return
    host, _, port = settings.ray_address.rpartition(":")
    if "/" in host or not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ValueError(
            f"RETORT_RAY_ADDRESS is {settings.ray_address!r}, which is no host:port. Set it to that of the cluster's "
            "head (port 6379 unless it was started otherwise), and start a node of it on the worker's machine. "
            "Ray's client (ray://) is not enough: it lets the actors of a lost driver go on for half a minute."
        )
    if settings.ray_shared_dir is None or not settings.ray_shared_dir.is_absolute():
        raise ValueError(
            "RETORT_RAY_ADDRESS is set but RETORT_RAY_SHARED_DIR names no folder. Set it to the absolute path of a "
            "folder that this worker and every host of the cluster share."
        )
    for name in ("trainer_uid", "require_isolation"):
        if getattr(settings, name):
            raise ValueError(
                f"RETORT_RAY_ADDRESS is set and so is RETORT_{name.upper()}, which the hosts of a cluster do not keep: "
                "trainers there run as Ray's user, with a network. Unset one of them."
            )


def _check_networks(name: str, text: str) -> None:
    try:
        Policy.read(networks=text)
    except ValueError as error:
        raise ValueError(
            f"RETORT_{name.upper()}_NETWORKS: {error}. Write networks as 10.0.0.0/8, comma between."
        ) from error


def _check_key(name: str, given: SecretStr, read: Callable[[str], object]) -> None:
    text = given.get_secret_value()
    try:
        _ = read(text) if text else None
    except ValueError as error:
        raise ValueError(
            f"RETORT_{name}_KEY {error}. Make one: "
            "python -c 'import base64, os; print(base64.b64encode(os.urandom(32)).decode())'."
        ) from error


def _database_url(text: str) -> URL:
    """Of a database that we speak to. Raises `ValueError`, without the text: it may hold a password."""
    remedy = "Set it to postgresql+psycopg://USER:PASSWORD@HOST/DATABASE or sqlite:////ABSOLUTE/PATH, or leave it out."
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:  # ValueError: a port that is no number
        raise ValueError(f"RETORT_DATABASE_URL is no database URL. {remedy}") from error
    if url.drivername not in DRIVERS:
        raise ValueError(f"RETORT_DATABASE_URL is for {url.drivername}, which Retort does not speak. {remedy}")
    return url


def problems(error: ValueError) -> list[str]:
    """What `Settings()` has refused (a value, or a secret's file), each with its remedy or the setting's name."""
    if not isinstance(error, ValidationError):
        return [str(error)]
    return [_said(problem["loc"], problem["msg"].removeprefix("Value error, ")) for problem in error.errors()]


def _said(where: tuple[int | str, ...], message: str) -> str:
    return f"RETORT_{str(where[0]).upper()}: {message}." if where else message


def read_settings(**given: Any) -> Settings:
    """The environment's settings for a program's start, `given` ones in their place; ends the process with each problem
    and its remedy."""
    try:
        return Settings(**given)
    except ValueError as error:
        sys.exit("\n".join(problems(error)))
