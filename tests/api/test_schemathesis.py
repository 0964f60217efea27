"""Every operation of the OpenAPI document, fuzzed against the live service in both storage modes.

    python -m venv .venv-schemathesis && .venv-schemathesis/bin/pip install schemathesis
    make fuzz-api                      # pytest -m slow tests/api/test_schemathesis.py

It has an environment of its own: its dependencies and ours need not agree. RETORT_SCHEMATHESIS names the program where
it lies elsewhere, RETORT_SCHEMATHESIS_EXAMPLES how many examples an operation gets (20).
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from pydantic import SecretStr

from store.database import Database
from store.doorbell import InProcessDoorbell
from store.objects import open_store
from tests.api.driver import Driver, Inspector
from tests.api.modes import MODES, settings_of
from tests.api.process import ROOT, api_process
from tests.services.processes import find_program, missing

KEY = "a-long-and-random-first-key"
#: Valid by the schema is not yet acceptable: a teacher must exist, a name must be in the catalogue.
NOT_OURS = "positive_data_acceptance"


def program() -> str:
    found = os.environ.get("RETORT_SCHEMATHESIS") or find_program("schemathesis", [ROOT / ".venv-schemathesis" / "bin"])
    if found is None:
        missing("schemathesis", "see the top of tests/api/test_schemathesis.py")
    assert found is not None
    return found


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mode", MODES)
def test_no_request_finds_the_service_other_than_documented(
    mode: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    tool, keyed = program(), mode == "full"
    values = {"inspect_wait_seconds": 1, "rate_limit_per_second": 0, "max_upload_bytes": 1 << 20}
    settings = settings_of(mode, request, tmp_path, **values | ({"api_key": SecretStr(KEY)} if keyed else {}))
    with api_process(settings, tmp_path) as process:
        database = Database(settings.resolved_database_url)
        driver = Driver(database, open_store(settings), tmp_path)  # type: ignore[arg-type]
        driver.publish()
        driver.succeed(driver.job())
        command = [
            tool, "run", f"{process.url}/openapi.json", "--exclude-checks", NOT_OURS, "--max-examples",
            os.environ.get("RETORT_SCHEMATHESIS_EXAMPLES", "20"), "--phases", "examples,coverage,fuzzing,stateful",
            "--continue-on-failure", "--seed", "1", "--request-timeout", "60", "--no-color",
        ]  # fmt: skip
        command += ["-H", f"Authorization: Bearer {KEY}"] if keyed else []
        with Inspector(database, InProcessDoorbell()):
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        database.close()
    (tmp_path / "report.txt").write_text(done.stdout + done.stderr)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
    print(done.stdout[-600:])
