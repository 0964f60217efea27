"""Which `code`s each operation may answer with: what the OpenAPI document says, and what the tests hold it to.

Every problem that a test of the API sees must be listed here for its operation (tests/api/documented.py): a code that
is raised and not listed fails a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.errors.problems import ELSEWHERE

Codes = Mapping[int, tuple[str, ...]]

#: Of any operation.
COMMON: Codes = {
    400: ("bad_request",),
    401: ("unauthorized",),
    403: ("scope_missing", "client_not_local", "host_not_allowed"),
    422: ("invalid_request",),
    429: ("rate_limited",),
    500: ("internal", "object_missing"),
    503: ("database_unavailable", "storage_unavailable"),
}
#: The code of a status wherever an operation documents it.
BY_STATUS: Codes = {
    404: ("not_found",),
    406: ("not_acceptable",),
    412: ("precondition_failed",),
    413: ("payload_too_large",),
    415: ("unsupported_media_type",),
    416: ("range_not_satisfiable",),
}
#: Of whatever is no GET.
WRITES: Codes = {403: ("origin_not_allowed",), 409: ("lost_race",)}
_KEYED: Codes = {409: ("idempotency_key_in_flight",), 422: ("idempotency_key_reused",)}
#: What an inspection that could not be made answers with.
_SYSTEM = ("input_damaged", "oom_host", "trainer_crashed", "disk_full", "sandbox_unavailable")
_UPLOADS = ("upload_used", "upload_not_complete")
_STORED: Codes = {403: ("quota_exceeded",), 500: _SYSTEM, 503: ("no_catalogue",)}
_ACTION: Codes = {409: ("illegal_transition",)}
_QUEUES: Codes = {409: ("illegal_transition",), 429: ("quota_exceeded",)}


def _all(*several: Codes) -> Codes:
    merged: dict[int, tuple[str, ...]] = {}
    for each in several:
        for status, codes in each.items():
            merged[status] = (*merged.get(status, ()), *(code for code in codes if code not in merged.get(status, ())))
    return merged


_JOB = (
    *(
        "too_few_devices",
        "too_few_hosts",
        "no_cluster",
        "unknown_name",
        "unknown_teacher",
        "unknown_dataset",
        "unknown_job",
        "teacher_required",
        "labels_required",
        "teacher_not_ready",
    ),
    *("dataset_not_ready", "classes_differ", "kinds_differ", "datasets_differ", "job_not_succeeded", "invalid_config"),
    *("invalid_dataset", "invalid_teacher", "idempotency_key_reused", "not_exportable", "budget_unreachable"),
    "missing_package",
)
_PUBLISH = ("unknown_name", "invalid_config", "unknown_secret", "credentials_missing", "url_refused")
#: By operation id.
OPERATIONS: Mapping[str, Codes] = {
    "create_job": _all(
        {409: ("dataset_not_ready", "students_not_counted", "no_key"), 422: _JOB, 429: ("quota_exceeded",)}, _KEYED,
        {422: (*_PUBLISH, "target_not_live"), 500: _SYSTEM, 503: ("no_catalogue",)},
    ),
    "extend_job": _all(
        {409: ("dataset_not_ready", "job_not_succeeded"), 422: _JOB, 429: ("quota_exceeded",)}, _KEYED,
        {500: _SYSTEM, 503: ("no_catalogue",)},
    ),
    "create_job_export": _all(
        {409: ("job_not_succeeded", "files_deleted")},
        {422: ("unknown_name", "invalid_config", "not_exportable", "missing_package")},
        {429: ("quota_exceeded",)}, _KEYED,
    ),
    "create_job_publication": _all(
        {409: ("job_not_succeeded", "files_deleted", "no_key")},
        {422: _PUBLISH},
        {429: ("quota_exceeded",)}, _KEYED,
    ),
    "put_secret": {403: ("quota_exceeded",), 409: ("no_key",)},
    "ask_job_student": {
        400: ("malformed_multipart",), 409: ("job_not_succeeded", "files_deleted", "no_teacher"),
        422: ("invalid_sample", "invalid_config", "not_predictable"), 429: ("too_many_predictions",),
        500: ("oom_host", "input_damaged"),
        503: ("no_worker", "prediction_timeout", "predictor_died", "disk_full", "isolation_unavailable"),
    },
    "list_job_disagreements": {404: ("no_disagreements",)},
    "create_study": _all(
        {409: ("dataset_not_ready", "students_not_counted"), 422: _JOB, 429: ("quota_exceeded",)}, _KEYED,
        {500: _SYSTEM, 503: ("no_catalogue",)},
    ),
    "delete_study": {409: ("study_active", "illegal_transition")},
    "cancel_study": _ACTION, "pause_study": _ACTION, "resume_study": _QUEUES,
    "extend_study": _all(_ACTION, {409: ("space_exhausted",)}),
    "delete_job": {409: ("job_active", "illegal_transition")},
    "cancel_job": _ACTION, "stop_job": _ACTION, "pause_job": _ACTION, "resume_job": _QUEUES,
    "retry_job": _all(_QUEUES, {409: ("not_retryable",)}),
    "register_teacher": _all(
        _STORED, _KEYED, {400: ("malformed_multipart",), 409: ("job_not_succeeded", *_UPLOADS)},
        {422: ("invalid_teacher", "invalid_config", "unknown_name", "url_refused")},
        {502: ELSEWHERE},
    ),
    "register_dataset": _all(
        _STORED, _KEYED, {400: ("malformed_multipart",), 409: _UPLOADS},
        {422: ("invalid_dataset", "unknown_name", "url_refused"), 502: ELSEWHERE},
    ),
    "update_dataset": {409: ("name_fixed",)}, "inspect_dataset": {409: ("dataset_not_ready",)},
    "delete_teacher": {409: ("in_use",)}, "delete_dataset": {409: ("in_use",)},
    "create_upload": _all(_KEYED, {403: ("quota_exceeded",)}),
    "list_upload_parts": {409: ("upload_forgotten",)},
    "put_upload_part": {
        400: ("wrong_part_size",), 409: ("upload_not_open", "upload_forgotten"), 422: ("digest_mismatch",),
    },
    "complete_upload": {
        409: ("parts_missing", "upload_failed", "upload_forgotten"), 422: ("checksum_mismatch",),
    },
    "abort_upload": {409: ("upload_in_use",)},
    "create_api_key": {403: ("not_operator",), 409: ("keyless",)},
    "revoke_api_key": {409: ("own_key",)},
    "set_tenant_quotas": {403: ("not_operator",)},
    "create_webhook": {
        403: ("quota_exceeded",), 422: ("url_refused", "name_not_resolved"), 503: ("resolver_unavailable",),
    },
    "redeliver_webhook": {409: ("webhook_disabled",)}, "test_webhook": {409: ("webhook_disabled",)},
    "get_metrics": {403: ("not_operator",)},
    "get_job_q_curve": {404: ("no_q_curve",), 409: ("q_curve_empty",)},
    "get_job_manifest": {409: ("job_not_succeeded",)},
    "get_job_manifest_signature": {409: ("job_not_succeeded",), 503: ("no_signing_key",)},
    "get_signing_key": {503: ("no_signing_key",)},
    "download_job_artifact": {404: ("no_such_artifact",)},
    "download_job_student": {404: ("no_such_artifact",)},
    "download_job_report": {404: ("no_such_artifact",)},
}  # fmt: skip


def codes_of(method: str, operation: Mapping[str, Any]) -> Codes:
    """Every code that an operation of the document may answer with, by status."""
    statuses = {int(status) for status in operation["responses"] if status.isdecimal()}
    body = (
        {400: ("malformed_json",)} if "application/json" in operation.get("requestBody", {}).get("content", {}) else {}
    )
    given = {status: codes for status, codes in BY_STATUS.items() if status in statuses}
    return _all(given, COMMON, body, WRITES if method != "get" else {}, OPERATIONS.get(operation["operationId"], {}))
