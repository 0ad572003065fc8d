from datetime import timedelta

import pytest

from bot.metrics.spec import Group, discovered_specs, distinct, static_specs
from bot.settings import Scrape

SCRAPE = Scrape.model_validate({"interval": "15s", "timeout": "5s"})


def static(**target):
    return static_specs(Scrape.model_validate({"interval": "15s", "timeout": "5s", "targets": [target]}))[0][0]


def discovered(address="h:1", **labels):
    specs, problems = discovered_specs(SCRAPE, [Group("t.json", (address,), labels)])
    return specs[0] if specs else problems[0]


def test_a_static_target_gets_job_and_instance():
    spec = static(url="http://agent:9101/metrics", labels={"agent": "refund"})
    assert dict(spec.naming.labels) == {"job": "agents", "instance": "agent:9101", "agent": "refund"}
    assert (spec.interval_seconds, spec.timeout_seconds) == (15.0, 5.0)


@pytest.mark.parametrize(
    ("url", "instance"),
    [
        ("http://a/metrics", "a:80"),
        ("https://a/metrics", "a:443"),
        ("http://[::1]:9/m", "[::1]:9"),
        ("http://u:p@a:1/", "a:1"),
    ],
)
def test_instance_is_host_and_port(url, instance):
    assert static(url=url).naming.labels["instance"] == instance


def test_labels_of_the_settings_win_and_empty_ones_take_away():
    spec = static(url="http://a/metrics", labels={"job": "llm", "instance": ""})
    assert dict(spec.naming.labels) == {"job": "llm"}


def test_a_timeout_is_never_longer_than_the_interval():
    assert static(url="http://a/", interval=timedelta(seconds=2)).timeout_seconds == 2.0


def test_a_password_in_the_url_is_not_shown():
    spec = static(url="http://user:secret@a/metrics")
    assert "secret" not in spec.shown_url
    assert "secret" not in str(spec.discovered)


def test_discovered_defaults():
    spec = discovered(agent="x", __meta_kubernetes_pod="p", __tmp="q")
    assert spec.url == "http://h:1/metrics"
    assert dict(spec.naming.labels) == {"job": "agents", "instance": "h:1", "agent": "x"}
    assert spec.discovered["__meta_kubernetes_pod"] == "p"


def test_discovered_labels_that_steer_the_scrape():
    spec = discovered(
        __scheme__="https",
        __metrics_path__="/internal/prom",
        __scrape_interval__="30s",
        __scrape_timeout__="3s",
        __param_module="llm & co",
        job="other",
    )
    assert spec.url == "https://h:1/internal/prom?module=llm+%26+co"
    assert (spec.interval_seconds, spec.timeout_seconds) == (30.0, 3.0)
    assert spec.pool == "other"


@pytest.mark.parametrize(
    ("address", "labels"),
    [
        ("", {}),
        ("h:1/metrics", {}),
        ("user@h:1", {}),
        ("h:port", {}),
        ("-:1", {}),
        ("h:99999", {}),
        ("h:1", {"__scheme__": "file"}),
        ("h:1", {"__scrape_interval__": "soon"}),
        ("h:1", {"__scrape_interval__": "0s"}),
    ],
)
def test_an_entry_that_cannot_be_scraped_is_named_and_left_out(address, labels):
    problem = discovered(address, **labels)
    assert problem.startswith("t.json: target ")
    assert "\n" not in problem


def test_one_bad_entry_does_not_take_its_neighbours_along():
    specs, problems = discovered_specs(SCRAPE, [Group("t.json", ("good:1", "bad/"), {})])
    assert ([spec.url for spec in specs], len(problems)) == (["http://good:1/metrics"], 1)


def test_a_path_from_a_list_cannot_change_the_host():
    assert discovered(__metrics_path__="//evil/metrics").url.startswith("http://h:1/")


def test_the_same_target_from_two_lists_is_scraped_once():
    twice, _ = discovered_specs(SCRAPE, [Group("a.json", ("h:1",), {}), Group("b.json", ("h:1",), {})])
    assert len(distinct(twice)) == 1


def test_the_same_address_with_other_labels_is_another_target():
    both, _ = discovered_specs(SCRAPE, [Group("a.json", ("h:1",), {"x": "1"}), Group("b.json", ("h:1",), {"x": "2"})])
    assert len(distinct(both)) == 2


def test_turns_are_spread_over_the_interval_and_stay_after_a_restart():
    offsets = [discovered(f"h{n}:1").offset_seconds for n in range(200)]
    assert offsets == [discovered(f"h{n}:1").offset_seconds for n in range(200)]
    per_third = [sum(5 * n <= offset < 5 * n + 5 for offset in offsets) for n in range(3)]
    assert all(40 <= count <= 95 for count in per_third)


def test_a_static_target_that_cannot_be_scraped_is_named_and_the_others_stay():
    bad = {"url": "http://h/", "labels": {"__name__": "x"}}
    specs, problems = static_specs(Scrape.model_validate({"targets": [bad, {"url": "http://good/"}]}))
    assert [spec.url for spec in specs] == ["http://good/"]
    assert problems[0].startswith("metrics.scrape.targets[0]: label '__name__'")
