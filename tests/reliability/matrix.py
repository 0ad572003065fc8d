"""The fault table: each fault, what has to happen, and the tests that prove it. A row without tests is not proved."""

from __future__ import annotations

from dataclasses import dataclass

A, N, U, M = "tests/acceptance/", "tests/integration/", "tests/unit/", "tests/model/"


@dataclass(frozen=True)
class Row:
    number: str
    fault: str
    tests: tuple[str, ...] = ()
    gap: str = ""  # what these tests do not show


MATRIX = (
    Row("1", "kill -9 at each step", (A + "test_crash.py", A + "test_crash_points.py", M + "test_machine.py")),
    Row(
        "2",
        "power loss",
        (M + "test_teeth.py::test_the_row_is_on_the_disk_before_the_first_byte_leaves",),
        "order of sync and send is seen by strace; no write log is replayed",
    ),
    Row(
        "3",
        "disk full",
        (N + "test_store_files.py::test_a_full_disk_turns_up_in_the_ping_and_all_goes_on_when_there_is_space_again",),
        "pages wait until there is space; nothing is sent from memory",
    ),
    Row(
        "4",
        "database locked",
        (N + "test_store.py::test_another_process_that_holds_the_lock_for_two_seconds_delays_a_write_and_no_reader",),
    ),
    Row(
        "5",
        "database damaged",
        (N + "test_store_files.py::test_a_damaged_file_is_refused_with_its_name_and_the_way_out",),
    ),
    Row(
        "6",
        "PostgreSQL killed, hung, cut off",
        (A + "test_postgres.py::test_killed_and_cut_off_under_load_it_loses_nothing", N + "test_store_postgres.py"),
        "its machine does not lose power; no fail-over to a stand-by",
    ),
    Row(
        "7",
        "Slack 5xx, timeout, reset after accepting",
        (
            A + "test_faults.py::test_500_is_settled_by_history_not_posted_twice",
            A + "test_faults.py::test_500_that_did_not_land_is_sent_again",
            A + "test_faults.py::test_connection_closed_after_accepting_is_one_message",
            M + "test_teeth.py::test_the_sdk_posts_once",
        ),
    ),
    Row("8", "Slack 429", (A + "test_faults.py::test_429_is_obeyed_and_the_page_arrives_after_it",)),
    Row("9", "token refused", (N + "test_pipeline.py::test_a_wrong_token_keeps_every_page_due", M + "test_machine.py")),
    Row(
        "10",
        "channel gone",
        (
            A + "test_faults.py::test_a_channel_that_is_gone_does_not_stop_the_page",
            M + "test_teeth.py::test_the_invariants_catch[refused_counts_as_sent-nobody_there-S1]",
        ),
    ),
    Row("11", "person gone", (A + "test_faults.py::test_a_person_slack_cannot_reach_is_passed_over_at_once",)),
    Row("12", "Slack says ok, message absent", (), "critical pages are not read back"),
    Row(
        "13",
        "Slack down for long",
        (
            A + "test_faults.py::test_slack_away_and_back_pages_once_and_plays_nothing_back",
            N + "test_pipeline.py::test_after_ten_hours_without_slack_nobody_gets_the_pages_of_the_whole_night",
        ),
    ),
    Row(
        "14",
        "socket refreshed or cut",
        (
            N + "test_slack_app.py::test_at_a_planned_refresh_the_new_connection_stands_before_the_old_one_goes",
            N + "test_slack_app.py::test_a_cut_connection_is_made_anew",
        ),
    ),
    Row("15", "socket deaf", (N + "test_slack_app.py::test_a_connection_that_is_open_but_deaf_is_found_and_replaced",)),
    Row("16", "click never arrives", (N + "test_second_channel.py",)),
    Row("17", "click delivered several times", (N + "test_races.py", M + "test_machine.py")),
    Row(
        "17b",
        "crash between answer and commit",
        (
            N + "test_slack_app.py::test_the_click_is_committed_before_slack_is_answered",
            N + "test_slack_app.py::test_a_slow_commit_is_admitted_at_once_and_reported_when_it_is_done",
        ),
    ),
    Row("18", "late click", (N + "test_slack_app.py::test_a_click_too_late_is_explained_to_the_one_who_clicked",)),
    Row(
        "19",
        "two acks at once",
        (
            N + "test_pipeline.py::test_of_fifty_acks_at_once_exactly_one_wins",
            N + "test_races.py",
            N + "test_store_postgres.py::test_of_forty_acks_at_once_at_three_replicas_exactly_one_wins",
        ),
    ),
    Row(
        "20",
        "ack races a step that is due",
        (
            N + "test_pipeline.py::test_acks_and_claims_at_once_leave_nothing_claimed_after_the_ack",
            N + "test_races.py",
        ),
    ),
    Row("21", "clock set on", (N + "test_clock_watch.py", M + "test_machine.py")),
    Row("22", "clock set back", (N + "test_clock_watch.py", M + "test_machine.py")),
    Row("23", "clocks change in spring and autumn", (U + "oncall",)),
    Row(
        "24",
        "machine suspended",
        (N + "test_clock_watch.py::test_after_a_suspend_of_hours_one_level_is_paged_in_the_first_minute",),
    ),
    Row("25", "scheduler starved", (M + "test_teeth.py::test_a_late_turn_is_taken",), "no load test of tick lateness"),
    Row("26", "loop blocked, process hung", (), "left to the service manager and to the outside heartbeat"),
    Row(
        "27", "slow target", (N + "test_metrics_fetch.py::test_a_drip_is_cut_off_at_the_deadline_of_the_whole_scrape",)
    ),
    Row("28", "huge body, gzip bomb", (N + "test_metrics_fetch.py::test_a_gzip_bomb_is_given_up_at_the_limit",)),
    Row("29", "garbage", (A + "test_faults.py::test_hostile_bodies_harm_only_their_own_target",)),
    Row("32", "target gone while firing", (A + "test_faults.py::test_a_dead_target_pages_and_holds_what_was_firing",)),
    Row("33", "hostile text in labels", (U + "slack",)),
    Row(
        "35",
        "broken file on reload",
        (A + "test_faults.py::test_a_broken_file_keeps_the_old_configuration_and_says_so", M + "test_machine.py"),
    ),
    Row("36", "runbook cannot be rendered", (N + "test_renderings.py",)),
    Row("37", "nobody on duty", (U + "incidents/test_escalation.py",)),
    Row("38", "nobody answers", (U + "incidents/test_escalation.py", M + "test_machine.py")),
    Row(
        "39",
        "two processes on one database; a leader that is cut off",
        (N + "test_store_lease.py", N + "test_store_postgres.py", M + "test_two_processes.py", A + "test_replicas.py"),
    ),
    Row(
        "40",
        "the one that writes is killed or stopped",
        (N + "test_store_lease.py", M + "test_two_processes.py", A + "test_replicas.py"),
    ),
    Row("41", "memory or descriptors run out", (), "not tried"),
    Row("42", "storm", (N + "test_storms.py",)),
    Row(
        "43",
        "the machine is gone",
        (A + "test_operations.py::test_the_heartbeat_is_sent_while_all_is_well_and_withheld_while_the_watcher_hangs",),
    ),
)
