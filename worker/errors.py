"""What goes wrong around a run, in the words a user reads."""

from __future__ import annotations

from distill.errors import DISK_FULL, Fault, RetortError, UserError


class StorageDown(RetortError):
    """The object store did not serve for longer than an attempt waits."""

    code = "storage_unavailable"
    retryable = True


class InputDamaged(RetortError):
    """The store lost an input or holds other bytes than were registered; another attempt reads the same."""

    code = "input_damaged"


class InputGone(UserError):
    """A teacher, dataset or start of a student cannot be used any more."""

    code = "input_gone"


class QuotaExceeded(UserError):
    """More bytes than the tenant may keep."""

    code = "quota_exceeded"


class DiskFull(RetortError):
    """The scratch folder has no room."""

    code = "disk_full"
    retryable = True


def disk_full(error: BaseException) -> DiskFull | None:
    """The error as a full disk, if that is what it comes from: torch and safetensors hide why they could not write."""
    cause: BaseException | None = error
    while cause is not None:
        if getattr(cause, "errno", None) in DISK_FULL or "No space left on device" in str(cause):
            remedy = "Free space or set RETORT_SCRATCH_DIR."
            return DiskFull(f"No space left on the worker's scratch disk: {cause}", remedy)
        cause = cause.__cause__ or cause.__context__
    return None


class IsolationUnavailable(RetortError):
    """The machine does not isolate trainers, and the operator demands it (RETORT_REQUIRE_ISOLATION)."""

    code = "isolation_unavailable"
    retryable = True  # another worker's machine may


class TooFewDevices(RetortError):
    """A slot is to own more devices than the machine has."""

    code = "too_few_devices"


class ClusterUnavailable(RetortError):
    """The Ray cluster cannot be reached, or Ray is not installed."""

    code = "cluster_unavailable"
    retryable = True


class ClusterBusy(RetortError):
    """The cluster had no room for all processes of a job for longer than an attempt waits."""

    code = "cluster_busy"
    retryable = True


class HostLost(RetortError):
    """A host of the cluster ended, or does not answer any more."""

    code = "host_lost"
    retryable = True


class ProcessesStuck(RetortError):
    """The processes of a job wait for each other, and none works."""

    code = "processes_stuck"
    retryable = True


class HostUnfit(RetortError):
    """A host of the cluster cannot run Retort's processes."""

    code = "host_unfit"


class FolderNotShared(RetortError):
    """RETORT_RAY_SHARED_DIR is another folder on a host of the cluster than on the worker."""

    code = "folder_not_shared"


class MaxRuntimeExceeded(UserError):
    """The job's own time limit, or the service's, and nothing to keep."""

    code = "max_runtime_exceeded"


class TrainerCrashed(RetortError):
    """The trainer ended without saying why."""

    code = "trainer_crashed"
    retryable = True


class Internal(RetortError):
    """A defect of ours."""

    code = "internal"
    fault: Fault = "system"
    retryable = True
