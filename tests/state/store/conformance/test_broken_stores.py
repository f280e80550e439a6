"""The conformance suite catches stores that break a promise: each of these lacks one protection."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from tests.bucket import Bucket
from tests.memory_store import MemoryStore
from tests.state.store.conformance import (
    broken,
    test_damage,
    test_fencing,
    test_notes,
    test_power_cuts,
    test_scans_and_reads,
    test_staging,
    test_tokens,
    test_upkeep,
)
from tests.state.store.conformance.harness.base import Harness
from tests.state.store.conformance.harness.in_memory import in_memory

CAUGHT: list[tuple[type[Bucket | MemoryStore], Callable[[Harness], None]]] = [
    (broken.Unconditional, test_staging.test_a_commit_at_the_last_instant_loses_nothing),
    (broken.FlushesNoContent, test_power_cuts.test_nothing_is_seen_before_its_content_is_durable),
    (
        broken.FlushesNoPublication,
        partial(test_power_cuts.test_a_reported_commit_survives_a_power_cut, before="nothing", names_stay=False),
    ),
    (
        broken.FlushesNothingSetAside,
        partial(test_damage.test_damage_is_kept_before_it_is_replaced, names_stay=True),
    ),
    (broken.HidesFailedFlushes, test_power_cuts.test_what_cannot_be_made_durable_is_not_published),
    (broken.HidesFailedFlushes, test_power_cuts.test_a_publication_that_cannot_be_made_durable_is_told),
    (broken.ErrorIsAbsence, test_tokens.test_an_error_is_no_token),
    (broken.BlindPut, test_fencing.test_another_writers_commit_supersedes),
    (broken.NumberAlone, test_fencing.test_the_same_number_is_not_the_same_commit),
    (broken.IdentityAlone, test_fencing.test_an_absence_that_was_filled_meanwhile_supersedes),
    (broken.NoHighWater, test_fencing.test_a_deleted_day_repeats_no_number),
    (broken.DamageIsDamage, test_fencing.test_other_damage_supersedes),
    (broken.NewerIsDamage, test_tokens.test_the_token_of_a_newer_format),
    (broken.NoReadBack, test_fencing.test_a_lost_reply_is_settled_by_reading_back),
    (broken.TrustsLostReplies, test_fencing.test_a_request_that_did_not_land_is_an_error),
    (broken.SetsNothingAside, test_damage.test_damage_is_set_aside_byte_for_byte),
    (broken.TakesDamageAway, test_damage.test_a_failed_publication_over_damage_destroys_nothing),
    (broken.IgnoresVerify, test_staging.test_what_verify_raises_is_the_answer),
    (broken.VerifiesFirst, test_power_cuts.test_what_cannot_be_made_durable_is_not_published),
    (broken.VerifiesLast, test_staging.test_verify_comes_before_publication),
    (broken.AllOrNone, partial(test_staging.test_an_error_of_one_is_no_others, step="publish")),
    (broken.OrdersAnswers, test_staging.test_answers_stand_in_the_groups_order),
    (broken.KeepsNonces, test_fencing.test_every_commit_has_its_own_nonce),
    (broken.StagesInSight, test_staging.test_a_staged_result_is_invisible),
    (broken.LeavesStaged, test_staging.test_what_was_committed_stays_when_it_is_left),
    (broken.RemovesAll, test_staging.test_stale_results_are_removed_and_living_ones_kept),
    (broken.RemovesNothing, test_staging.test_stale_results_are_removed_and_living_ones_kept),
    (broken.ErrorIsEmpty, test_scans_and_reads.test_an_error_of_listing_is_an_error),
    (broken.AnswersOtherwise, test_scans_and_reads.test_a_scan_finds_exactly_what_was_committed),
    (broken.ScansEndsAlone, test_scans_and_reads.test_a_deep_scan_finds_any_altered_byte),
    (broken.ReadsUnchecked, test_scans_and_reads.test_a_read_gives_nothing_of_what_is_damaged),
    (broken.ForgetsPublished, test_scans_and_reads.test_the_highest_published_generation_is_remembered),
    (broken.SetsAsideWhateverIsThere, test_upkeep.test_what_is_not_damaged_is_not_set_aside),
    (broken.SuspectsLivingRuns, test_upkeep.test_results_of_dead_runs_are_known),
    (broken.DropsNotesOfDeadRuns, test_upkeep.test_notes_of_dead_runs_stay_until_they_are_dealt_with),
    (broken.OverwritesNotes, test_notes.test_what_is_not_ours_is_set_aside),
    (broken.FlushesNoNotes, partial(test_notes.test_a_durable_note_survives_a_power_cut, names_stay=True)),
    (broken.SyncsNothing, test_power_cuts.test_sync_makes_durable_what_others_left),
]


@pytest.mark.parametrize(("kind", "test"), CAUGHT, ids=[kind.__name__ for kind, _ in CAUGHT])
def test_a_broken_store_is_caught(kind: type[Bucket | MemoryStore], test: Callable[[Harness], None]) -> None:
    """A store, or a bucket below one, that lacks one protection fails the test that is there for it."""
    with in_memory(kind) as harness, pytest.raises((AssertionError, pytest.fail.Exception)):
        test(harness)
