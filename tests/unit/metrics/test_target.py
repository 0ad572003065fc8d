import asyncio

import pytest

from bot.errors import RemoteError
from bot.metrics.fetch import Answer
from bot.metrics.spec import static_specs
from bot.metrics.target import ScrapedTarget
from bot.metrics.view import target_json
from bot.settings import Scrape

REPORT = {
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
}


class Page:
    """Stands for the HTTP client: answers with what the test says."""

    def __init__(self):
        self.says = b""

    async def get(self, url, access, headers, *, timeout_seconds, max_bytes):
        if isinstance(self.says, Exception):
            raise self.says
        return Answer(self.says, "text/plain", url)


class Written:
    """Stands for the series store and keeps what was written."""

    def __init__(self):
        self.epoch = 0
        self.labels = []
        self.calls = []

    def intern(self, labels):
        if labels not in self.labels:
            self.labels.append(labels)
        return self.labels.index(labels)

    def append(self, writer, t, ids, values):
        self.calls.append(("append", t, {self.name(i): float(v) for i, v in zip(ids, values, strict=True)}))

    def append_at(self, ids, times, values):
        self.calls.append(("append_at", [(self.name(i), t, v) for i, t, v in zip(ids, times, values, strict=True)]))

    def mark_stale(self, t, ids):
        self.calls.append(("stale", t, {self.name(i) for i in ids}))

    def name(self, series):
        labels = self.labels[series]
        return labels["__name__"] + "".join(
            f" {k}={v}" for k, v in labels.items() if k in {"x", "job"} and v != "agents"
        )


class Bench:
    def __init__(self, **target):
        self.page, self.store = Page(), Written()
        self.now = 1000.0
        self.spec = static_specs(Scrape.model_validate({"targets": [{"url": "http://h:1/metrics", **target}]}))[0][0]
        self.target = ScrapedTarget(self.spec, self.store, self.page, lambda: self.now, lambda: self.now)

    async def scrape(self, says):
        """What one scrape wrote: samples, and names gone stale."""
        self.page.says = says
        self.now += 15
        self.store.calls.clear()
        await self.target.scrape()
        samples = [call[2] for call in self.store.calls if call[0] == "append"]
        stale = [call[2] for call in self.store.calls if call[0] == "stale"]
        assert len(samples) == 1
        return samples[0], set().union(*stale)


@pytest.fixture
def bench():
    return Bench()


async def test_a_good_scrape_writes_samples_and_its_report_at_one_time(bench):
    samples, stale = await bench.scrape(b"a 1\nb 2\n")
    assert samples == {
        "a": 1.0,
        "b": 2.0,
        "up": 1.0,
        "scrape_duration_seconds": 0.0,
        "scrape_samples_scraped": 2.0,
        "scrape_samples_post_metric_relabeling": 2.0,
        "scrape_series_added": 2.0,
    }
    assert stale == set()
    assert bench.store.calls[0][1] == 1015.0


async def test_a_series_that_vanishes_goes_stale_once(bench):
    await bench.scrape(b"a 1\nb 2\n")
    assert (await bench.scrape(b"b 2\n"))[1] == {"a"}
    samples, stale = await bench.scrape(b"b 2\n")
    assert stale == set()
    assert samples["scrape_series_added"] == 0.0


@pytest.mark.parametrize("trouble", [b"a one\n", RemoteError("no complete answer within 5s")])
async def test_a_failed_scrape_is_down_and_ends_every_series(bench, trouble):
    await bench.scrape(b"a 1\nb 2\n")
    samples, stale = await bench.scrape(trouble)
    assert samples == dict.fromkeys(REPORT, 0.0)
    assert stale == {"a", "b"}
    assert (await bench.scrape(trouble))[1] == set()


async def test_half_a_good_body_writes_nothing_of_it(bench):
    samples, _ = await bench.scrape(b"a 1\nb 2\nc{")
    assert samples == dict.fromkeys(REPORT, 0.0)


async def test_series_that_come_back_after_a_failure_are_not_new(bench):
    await bench.scrape(b"a 1\n")
    await bench.scrape(RemoteError("gone"))
    samples, _ = await bench.scrape(b"a 1\nb 1\n")
    assert samples["scrape_series_added"] == 1.0
    assert (await bench.scrape(b"b 1\n"))[1] == {"a"}


async def test_a_mistake_of_ours_is_a_failed_scrape_of_this_target(bench):
    samples, _ = await bench.scrape(ZeroDivisionError("oops"))
    assert samples["up"] == 0.0
    assert "ZeroDivisionError" in bench.target.health.last_error


async def test_series_with_their_own_times_are_not_ended_by_us(bench):
    await bench.scrape(b"a 1 1000000\nb 1\n")
    assert ("append_at", [("a", 1000.0, 1.0)]) in bench.store.calls
    assert (await bench.scrape(b"b 1\n"))[1] == set()
    assert (await bench.scrape(RemoteError("gone")))[1] == {"b"}


async def test_a_series_that_takes_up_its_own_times_ends_at_the_scrapes_time(bench):
    await bench.scrape(b"a 1\n")
    assert (await bench.scrape(b"a 1 1000000\n"))[1] == {"a"}


async def test_a_target_cannot_say_itself_that_it_is_up(bench):
    samples, _ = await bench.scrape(b'up 0\nup{x="y"} 3\n')
    assert samples["up"] == 1.0
    assert samples["up x=y"] == 3.0


async def test_counts_before_and_after_dropping():
    bench = Bench(drop_labels=["ip"], on_duplicate="sum")
    samples, _ = await bench.scrape(b'# TYPE a counter\na{ip="1"} 1\na{ip="2"} 2\na_created 5\n')
    assert samples["a"] == 3.0
    assert samples["scrape_samples_scraped"] == 3.0
    assert samples["scrape_samples_post_metric_relabeling"] == 1.0


async def test_a_retired_target_ends_everything_it_wrote(bench):
    await bench.scrape(b"a 1\n")
    bench.target.retire(2000.0)
    assert bench.store.calls[-1] == ("stale", 2000.0, {"a", *REPORT})


async def test_other_settings_end_the_series_they_no_longer_make():
    bench = Bench()
    await bench.scrape(b'a{x="1"} 1\n')
    bench.target.follow(Bench(drop_labels=["x"]).spec)
    samples, stale = await bench.scrape(b'a{x="1"} 1\n')
    assert stale == {"a x=1"}
    assert samples["a"] == 1.0


async def test_series_are_looked_up_again_when_the_store_has_forgotten(bench):
    await bench.scrape(b"a 1\n")
    bench.store.labels = [{"__name__": "padding"}] * 10
    bench.store.epoch += 1
    samples, _ = await bench.scrape(b"a 2\n")
    assert samples["a"] == 2.0
    assert samples["up"] == 1.0


async def test_a_large_body_is_read_all_the_same(bench):
    samples, _ = await bench.scrape(b"# HELP a " + b"x" * 1_000_000 + b"\na 1\n")
    assert samples["a"] == 1.0


async def test_targets_as_prometheus_shows_them(bench):
    assert target_json(bench.target)["health"] == "unknown"
    assert target_json(bench.target)["lastScrape"] == "0001-01-01T00:00:00Z"
    await bench.scrape(RemoteError("server returned HTTP status 404 Not Found"))
    assert target_json(bench.target) == {
        "discoveredLabels": {
            "__address__": "h:1",
            "__metrics_path__": "/metrics",
            "__scheme__": "http",
            "__scrape_interval__": "15s",
            "__scrape_timeout__": "5s",
            "job": "agents",
        },
        "labels": {"instance": "h:1", "job": "agents"},
        "scrapePool": "agents",
        "scrapeUrl": "http://h:1/metrics",
        "globalUrl": "http://h:1/metrics",
        "lastError": "server returned HTTP status 404 Not Found",
        "lastScrape": "1970-01-01T00:16:55.000Z",
        "lastScrapeDuration": 0.0,
        "health": "down",
        "scrapeInterval": "15s",
        "scrapeTimeout": "5s",
    }


async def test_between_the_first_pages_of_a_fleet_the_loop_sees_to_others():
    turns, read = asyncio.Semaphore(1), []
    fleet = [Bench() for _ in range(20)]
    for bench in fleet:
        bench.target.turns = turns
        bench.target.layout.intern = lambda labels, bench=bench: read.append(id(bench)) or bench.store.intern(labels)
    scrapes = [asyncio.create_task(bench.scrape(b"x 1\n")) for bench in fleet]
    most = 0
    while not all(scrape.done() for scrape in scrapes):
        before = len(set(read))
        await asyncio.sleep(0)
        most = max(most, len(set(read)) - before)
    assert (len(set(read)), most) == (20, 1)
