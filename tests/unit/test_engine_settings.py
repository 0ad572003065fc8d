"""`metrics.prometheus` as it is written, and what is refused with which words."""

from __future__ import annotations

import pytest

from bot.config import check, read_sources

ONCALL = "people: {ana: {name: Ana, slack: U0ANA}}\nfallback: person:ana\n"


@pytest.fixture
def findings(tmp_path):
    def of(metrics: str) -> list[str]:
        (tmp_path / "oncall").mkdir()
        (tmp_path / "oncall" / "a.yaml").write_text(ONCALL)
        (tmp_path / "agentpager.yaml").write_text(f"metrics:\n  {metrics}\n")
        return [one.message for one in check(read_sources(tmp_path, {})) if one.severity == "error"]

    return of


@pytest.mark.parametrize(
    "metrics",
    [
        'prometheus: {url: "http://prometheus:9090"}',
        'prometheus: {url: "https://x.test/prometheus", tenant: a, headers: {X-A: "1"}, basic_auth: {username: me}}',
        'prometheus: {url: "http://vm:8481/select/0/prometheus", method: get, params: {a: "1"}, concurrency: 50}',
    ],
)
def test_what_is_taken(findings, metrics):
    assert findings(metrics) == []


@pytest.mark.parametrize(
    ("metrics", "why"),
    [
        (
            'prometheus: {url: "http://p:9090"}\n  scrape: {targets: [{url: "http://a:1/metrics"}]}',
            "with metrics.prometheus the engine does the scraping",
        ),
        ("prometheus: {}", 'missing key "url"'),
        ('prometheus: {url: "prometheus:9090"}', "url"),
        ('prometheus: {url: "http://p", tenant: "a b"}', "tenant"),
        ('prometheus: {url: "http://p", concurrency: 0}', "concurrency"),
        ('prometheus: {url: "http://p", bearer_token: a, basic_auth: {username: b}}', "use only one of bearer_token"),
    ],
)
def test_what_is_refused(findings, metrics, why):
    (message,) = findings(metrics)
    assert why in message
