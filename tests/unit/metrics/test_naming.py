import pytest

from bot.metrics.exposition import ExpositionError, Page, Sample
from bot.metrics.naming import Naming, check_limits
from bot.settings import ScrapeLimits

TARGET = {"job": "agents", "instance": "h:1"}


def stored(exposed, **settings):
    naming = Naming(labels=TARGET, limits=ScrapeLimits(), **settings)
    return naming.stored(Sample("a", exposed, 1.0))


def test_the_targets_labels_are_added():
    assert stored({"tool": "x"}) == {"__name__": "a", "tool": "x", "job": "agents", "instance": "h:1"}


def test_empty_values_are_no_labels():
    assert stored({"error_type": ""}) == {"__name__": "a", "job": "agents", "instance": "h:1"}


def test_an_exposed_label_that_clashes_is_kept_as_exported():
    assert stored({"job": "cron"}) == {"__name__": "a", "exported_job": "cron", "job": "agents", "instance": "h:1"}


def test_exported_is_put_in_front_until_the_name_is_free():
    assert stored({"job": "cron", "exported_job": "b"}) == {
        "__name__": "a",
        "job": "agents",
        "instance": "h:1",
        "exported_job": "b",
        "exported_exported_job": "cron",
    }


def test_an_empty_exposed_label_does_not_clash():
    assert stored({"job": ""}) == {"__name__": "a", "job": "agents", "instance": "h:1"}


def test_honored_labels_win_over_the_targets():
    assert stored({"job": "cron"}, honor_labels=True) == {"__name__": "a", "job": "cron", "instance": "h:1"}


def test_an_honored_empty_label_takes_the_targets_label_away():
    assert stored({"instance": ""}, honor_labels=True) == {"__name__": "a", "job": "agents"}


def test_dropped_labels_are_those_exposed_not_the_targets_own():
    exposed = {"client_ip": "1.2.3.4", "instance": "inner"}
    assert stored(exposed, drop_labels=frozenset({"client_ip", "instance"})) == {"__name__": "a", **TARGET}


@pytest.mark.parametrize(
    ("name", "types", "wanted"),
    [
        ("runs_created", {"runs_total": "counter", "runs_created": "gauge"}, False),  # text format
        ("runs_created", {"runs": "counter"}, False),  # OpenMetrics
        ("latency_created", {"latency": "histogram"}, False),
        ("size_created", {"size": "summary"}, False),
        ("tickets_created", {"tickets_created": "gauge"}, True),
        ("tickets_created", {"tickets": "gauge"}, True),
        ("runs_created_total", {"runs_created_total": "counter"}, True),
    ],
)
def test_created_companions_are_not_wanted(name, types, wanted):
    naming = Naming(labels=TARGET, limits=ScrapeLimits())
    assert naming.wanted(Sample(name, {}, 1.0), Page((), types)) is wanted


def test_created_companions_are_kept_on_request():
    naming = Naming(labels=TARGET, limits=ScrapeLimits(), keep_created=True)
    assert naming.wanted(Sample("runs_created", {}, 1.0), Page((), {"runs": "counter"}))


@pytest.mark.parametrize(
    ("labels", "limits", "words"),
    [
        ({"__name__": "a", "b": "c"}, {"labels": 1}, "2 labels, the limit is 1"),
        ({"__name__": "a", "bbbbbbbbb": "c"}, {"label_name_length": 8}, "limit of 8 bytes"),
        ({"__name__": "a", "b": "éé"}, {"label_value_length": 3}, "limit of 3 bytes"),
        ({"__name__": "long"}, {"label_value_length": 3}, "limit of 3 bytes"),
    ],
)
def test_over_a_limit_is_refused(labels, limits, words):
    with pytest.raises(ExpositionError, match=words):
        check_limits(labels, ScrapeLimits(**limits), 7)


def test_exactly_at_the_limits_is_fine():
    check_limits(
        {"__name__": "abc", "12345678": "é"}, ScrapeLimits(labels=2, label_name_length=8, label_value_length=3), 1
    )


MAP = {"api_key_alias": "agent", "gen_ai_agent_name": "agent"}


def test_a_mapped_label_is_renamed_and_its_source_is_gone():
    assert stored({"api_key_alias": "refund", "model": "m"}, label_map=MAP) == {
        "__name__": "a",
        **TARGET,
        "agent": "refund",
        "model": "m",
    }


def test_the_first_source_that_has_a_value_counts():
    assert stored({"gen_ai_agent_name": "b", "api_key_alias": "a"}, label_map=MAP)["agent"] == "a"
    assert stored({"gen_ai_agent_name": "b", "api_key_alias": ""}, label_map=MAP) == {
        "__name__": "a",
        **TARGET,
        "agent": "b",
    }


def test_an_empty_source_is_none_and_leaves_what_has_the_name_already():
    assert stored({"api_key_alias": "", "agent": "x"}, label_map=MAP)["agent"] == "x"


def test_pythons_none_is_no_value():
    assert "agent" not in stored({"api_key_alias": "None"}, label_map=MAP)


def test_what_is_mapped_takes_the_place_of_an_exposed_label_of_that_name():
    assert stored({"api_key_alias": "refund", "agent": "x"}, label_map=MAP)["agent"] == "refund"


def test_labels_can_change_names_with_one_another():
    assert stored({"x": "1", "y": "2"}, label_map={"x": "y", "y": "x"}) == {
        "__name__": "a",
        **TARGET,
        "x": "2",
        "y": "1",
    }


def test_the_targets_own_label_wins_over_a_mapped_one_which_is_kept_as_exported():
    named = stored({"source": "inner"}, label_map={"source": "instance"})
    assert named == {"__name__": "a", **TARGET, "exported_instance": "inner"}


def test_a_mapped_label_wins_where_labels_are_honored_and_an_empty_one_takes_nothing_away():
    mapping = {"source": "instance"}
    assert stored({"source": "inner"}, label_map=mapping, honor_labels=True)["instance"] == "inner"
    assert stored({"source": ""}, label_map=mapping, honor_labels=True)["instance"] == "h:1"


def test_a_source_may_be_among_the_dropped_labels():
    assert stored({"key": "a"}, label_map={"key": "agent"}, drop_labels=frozenset({"key"}))["agent"] == "a"
