"""What depends on the database's kind, again on PostgreSQL: races, JSON filters, what JSON and text can hold."""

# ruff: noqa: F401 - a test that is imported is collected

from __future__ import annotations

from collections.abc import Iterator

import pytest

from store.database import Database
from tests.api.test_contract import (
    keyed,
    test_keys_open_and_nothing_else_does,
    test_no_json_body_breaks_the_service,
    test_nul_in_a_url_is_a_400,
    test_system_tells_version_queue_and_workers,
    test_the_catalogue_lists_what_jobs_may_use,
)
from tests.api.test_jobs import (
    test_a_comparison_survives_its_other_job,
    test_a_key_can_be_used_again_when_its_job_is_deleted,
    test_a_refused_request_does_not_use_its_key_up,
    test_an_ended_job_is_deleted_with_all_it_made,
    test_etag_answers_304_until_something_changes,
    test_jobs_are_listed_by_status_recipe_and_label,
    test_jobs_are_searched_by_words_all_of_which_they_hold,
    test_json_that_cannot_be_stored_is_a_422,
    test_one_key_makes_one_job_however_many_send_it,
    test_pages_of_jobs_are_stable_under_inserts,
    test_queue_position_follows_priority_then_age,
    test_retry_gives_new_attempts_after_a_system_fault_only,
)
from tests.api.test_preconditions import (
    test_a_key_in_flight_is_a_409_until_the_first_is_answered,
    test_an_action_on_a_job_that_has_changed_is_a_412,
    test_of_two_who_change_the_same_one_is_told,
    test_uploads_and_quotas_have_tags_too,
    test_what_a_client_names_can_be_changed_by_who_has_seen_it,
)
from tests.api.test_registration import (
    test_a_checkpoint_that_inspection_refuses_leaves_nothing,
    test_a_teacher_is_registered_shown_listed_and_deleted,
    test_lists_page_by_keyset,
    test_the_same_key_registers_once,
    test_what_jobs_use_is_not_deleted,
)
from tests.api.test_results import (
    done,
    test_a_stream_of_an_ended_job_is_its_whole_history_and_ends,
    test_events_page_and_go_on,
    test_metrics_logs_attempts_and_checkpoints,
    test_pages_of_metrics_cut_no_step_in_two,
    test_the_curve_fills_layer_by_layer,
)
from tests.store.support import migrated

pytestmark = pytest.mark.services


@pytest.fixture
def database(lent_url: str) -> Iterator[Database]:
    """Instead of the SQLite one."""
    with migrated(lent_url) as database:
        yield database
