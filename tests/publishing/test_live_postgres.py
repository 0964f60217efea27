"""The tests of `test_live` in which several transactions meet, again on PostgreSQL."""

# ruff: noqa: F401 - a test that is imported is collected

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from tests.publishing.test_live import (
    server,
    test_a_job_that_fails_ends_its_run_so_and_takes_it_up_again,
    test_a_job_that_never_ran_is_told_to_nobody,
    test_metrics_arrive_while_the_job_runs_and_each_once_whatever_is_lost,
)
from tests.publishing.world import World
from tests.services.postgres import Postgres

pytestmark = [pytest.mark.services, pytest.mark.slow]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> World:
    return World(tmp_path_factory.mktemp("world"), postgres.new_database())


@pytest.fixture(scope="module")
def client(world: World) -> Iterator[TestClient]:
    with world.serving() as client:
        yield client
