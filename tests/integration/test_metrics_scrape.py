"""The scraper against real targets, good and bad ones side by side, into the real store, read back by PromQL."""

import asyncio
import gzip
import itertools
import json
import time
import zlib

import pytest
from metrics_world import Server, Watch, answer

from bot.metrics import discovery

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@pytest.fixture
async def server():
    async with Server() as server:
        yield server


async def test_samples_arrive_with_the_targets_labels_and_its_health(server, tmp_path):
    server.pages["/metrics"] = answer(b'agent_runs_total{outcome="ok",error_type=""} 3\n')
    async with Watch(tmp_path, targets=[{"url": f"{server.url}/metrics", "labels": {"agent": "refund"}}]) as watch:
        await watch.scrapes(2)
        own = {"job": "agents", "instance": f"127.0.0.1:{server.port}", "agent": "refund"}
        assert watch.query("agent_runs_total") == [({"__name__": "agent_runs_total", "outcome": "ok", **own}, 3.0)]
        assert watch.query("up") == [({"__name__": "up", **own}, 1.0)]
        assert watch.value("scrape_samples_scraped") == 1.0
        assert watch.value("scrape_series_added") == 0.0
        assert 0 < watch.value("scrape_duration_seconds") < 1
        assert watch.scraper.stats()["targets_up"] == 1


async def test_formats_are_negotiated_by_the_accept_header(server, tmp_path):
    def page(headers):
        if "application/openmetrics-text" in headers["Accept"]:
            return answer(b"# TYPE a counter\na_total 1 # {} 1\n# EOF\n", content_type=OPENMETRICS)
        return answer(b"a_total 2\n")

    server.pages["/both"] = page
    server.pages["/text"] = answer(b"b 2\n")
    server.pages["/untyped"] = answer(b"c 3\n", content_type="")
    targets = [{"url": f"{server.url}/{name}", "labels": {"instance": name}} for name in ("both", "text", "untyped")]
    async with Watch(tmp_path, targets=targets) as watch:
        await watch.until(lambda: set(watch.health().values()) == {"up"})
        assert [watch.value(name) for name in ("a_total", "b", "c")] == [1.0, 2.0, 3.0]
    asked = server.requests[0]
    assert "escaping=underscores" in asked["Accept"]
    assert "text/plain;version=0.0.4" in asked["Accept"]
    assert asked["Accept-Encoding"] == "gzip"
    assert asked["X-Prometheus-Scrape-Timeout-Seconds"] == "0.15"


async def test_a_series_that_vanishes_and_a_target_that_fails_go_stale(server, tmp_path):
    server.pages["/metrics"] = answer(b"a 1\nb 2\n")
    async with Watch(tmp_path, targets=[{"url": f"{server.url}/metrics"}]) as watch:
        await watch.scrapes(1)
        assert [len(watch.query(name)) for name in ("a", "b")] == [1, 1]
        server.pages["/metrics"] = answer(b"b 2\n")
        await watch.scrapes(2)
        assert [len(watch.query(name)) for name in ("a", "b")] == [0, 1]
        server.pages["/metrics"] = answer(b"sorry", "500 Internal Server Error")
        await watch.scrapes(2)
        assert [len(watch.query(name)) for name in ("a", "b")] == [0, 0]
        assert watch.value("up") == 0.0
        assert list(watch.reasons().values()) == ["server returned HTTP status 500 Internal Server Error"]
        server.pages["/metrics"] = answer(b"a 7\n")
        await watch.scrapes(2)
        assert (watch.value("a"), watch.value("up")) == (7.0, 1.0)


async def test_own_timestamps_are_honored_unless_told_otherwise(server, tmp_path):
    server.pages["/metrics"] = lambda _: answer(b"a 1 %d\n" % (1000 * stamp))
    targets = [
        {"url": f"{server.url}/metrics", "labels": {"kind": "honored"}},
        {"url": f"{server.url}/metrics", "labels": {"kind": "own"}, "honor_timestamps": False},
    ]
    watch = Watch(tmp_path, targets=targets)
    stamp = int(time.time()) - 600
    async with watch:
        await watch.until(lambda: watch.scraper.stats()["targets_up"] == 2)
        assert len(watch.query('a{kind="honored"}', at=stamp)) == 1
        assert len(watch.query('a{kind="own"}', at=stamp)) == 0
        assert len(watch.query('a{kind="own"}')) == 1


async def test_reconfiguring_keeps_state_of_those_that_stay_and_ends_those_that_go(server, tmp_path):
    for name in ("stays", "goes", "comes"):
        server.pages[f"/{name}"] = answer(f"{name} 1\n".encode())

    def targets(*names):
        return [{"url": f"{server.url}/{name}", "labels": {"instance": name}} for name in names]

    async with Watch(tmp_path, targets=targets("stays", "goes")) as watch:
        await watch.until(lambda: set(watch.health().values()) == {"up"})
        scrapes = watch.scraper.stats()["scrapes"]
        await watch.scraper.reconfigure(watch.settings(targets=targets("stays", "comes")))
        assert watch.health() == {f"{server.url}/stays": "up", f"{server.url}/comes": "unknown"}
        assert watch.scraper.stats()["scrapes"] >= scrapes
        await watch.until(lambda: set(watch.health().values()) == {"up"})
        await watch.scrapes(2)
        assert [len(watch.query(name)) for name in ("stays", "goes", "comes")] == [1, 0, 1]
        assert len(watch.query('up{instance="goes"}')) == 0


async def test_changed_settings_of_a_target_take_effect(server, tmp_path):
    server.pages["/metrics"] = answer(b'a{ip="1"} 1\n')
    target = {"url": f"{server.url}/metrics"}
    async with Watch(tmp_path, targets=[target]) as watch:
        await watch.scrapes(1)
        await watch.scraper.reconfigure(watch.settings(targets=[{**target, "drop_labels": ["ip"]}]))
        assert watch.health() == {target["url"]: "up"}
        await watch.scrapes(2)
        assert len(watch.query("a")) == 1
        assert len(watch.query('a{ip="1"}')) == 0


async def test_a_scrape_is_never_queued_behind_another_of_the_same_target(server, tmp_path):
    async def slow(headers, writer):
        await asyncio.sleep(0.5)

    server.pages["/metrics"] = slow
    async with Watch(tmp_path, interval="50ms", timeout="1s", targets=[{"url": f"{server.url}/metrics"}]) as watch:
        await watch.scrapes(8)
        assert watch.value("up") == 0.0
    started = watch.times
    assert all(later - earlier >= 0.045 for earlier, later in itertools.pairwise(started))


async def test_an_observer_that_fails_does_not_stop_scraping(server, tmp_path):
    server.pages["/metrics"] = answer(b"a 1\n")
    watch = Watch(tmp_path, targets=[{"url": f"{server.url}/metrics"}])

    def observe(at):
        watch.times.append(at)
        raise ZeroDivisionError

    watch.scraper._on_scraped = observe
    async with watch:
        await watch.scrapes(3)
        assert watch.scraper.stats()["crashed"] >= 2


# One bad target harms only itself


def chunked(body):
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body


async def hundred_mebibytes(headers, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n")
    for _ in range(100):
        writer.write(b"agent_runs_total 1\n" * 55188)
        await writer.drain()


async def drip(headers, writer):
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(1000):
        writer.write(b"a 1\n")
        await writer.drain()
        await asyncio.sleep(0.02)


async def half(headers, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nagent_runs_total 1\n")
    await writer.drain()


async def silence(headers, writer):
    await asyncio.sleep(60)


def bomb():
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(b"\0" * 2**20) for _ in range(200)) + packer.flush()


BAD = {
    "huge": (hundred_mebibytes, "larger than the limit"),
    "bomb": (answer(bomb(), Content_Encoding="gzip"), "larger than the limit"),
    "drip": (drip, "no complete answer within"),
    "half": (half, "not completed"),
    "silence": (silence, "no complete answer within"),
    "garbage": (answer(bytes(range(256)) * 100), "line"),
    "html": (answer(b"<!DOCTYPE html>\n<h1>Login</h1>", content_type="text/html"), "line 1: expected a metric name"),
    "json": (answer(b'{"detail": "Not Found"}', content_type="application/json"), "line 1"),
    "unfinished": (answer(b"a 1\n", content_type=OPENMETRICS), "# EOF"),
    "packed": (answer(gzip.compress(b"a 1\n")[:20], Content_Encoding="gzip"), "too early"),
    "chunks": (answer()[:0] + chunked(b"zz\r\n"), ""),
    "samples": (answer("".join(f"a{n} 1\n" for n in range(3000)).encode()), "3000 samples, the limit is 1000"),
    "value": (answer(b'a{b="' + b"x" * 5000 + b'"} 1\n'), "limit of 2048 bytes"),
    "twice": (answer(b"a 1\na 1\n"), "line 2: a is there twice"),
}


async def test_bad_targets_are_down_with_a_reason_and_the_good_ones_keep_their_pace(server, tmp_path):
    targets = [{"url": f"{server.url}/{name}", "labels": {"instance": name}} for name in BAD]
    for name, (page, _) in BAD.items():
        server.pages[f"/{name}"] = page
    for number in range(10):
        server.pages[f"/good{number}"] = answer(b'agent_runs_total{agent="x"} 1\n')
        targets.append({"url": f"{server.url}/good{number}", "labels": {"instance": f"good{number}"}})
    async with Watch(tmp_path, interval="1s", timeout="800ms", limits={"samples": 1000}, targets=targets) as watch:
        await watch.until(lambda: "unknown" not in watch.health().values(), seconds=20)
        begun = len(watch.times)
        await watch.until(lambda: len(watch.times) >= begun + 4 * len(targets), seconds=30)
        for name, (_, words) in BAD.items():
            assert watch.value(f'up{{instance="{name}"}}') == 0.0
            assert words in watch.reasons()[f"{server.url}/{name}"]
        good = watch.query('count_over_time(agent_runs_total{instance=~"good.*"}[1m])')
        assert len(good) == 10
        counts = [value for _, value in good]
        assert min(counts) >= 4
        assert max(counts) - min(counts) <= 1
        assert watch.query('agent_runs_total{instance!~"good.*"}') == []
        assert watch.scraper.stats()["crashed"] == 0


# Discovery


async def test_file_sd_targets_come_and_go_with_their_files(server, tmp_path, monkeypatch):
    monkeypatch.setattr(discovery, "FILE_REFRESH_SECONDS", 0.05)
    server.pages["/metrics"] = answer(b"a 1\n")
    server.pages["/other"] = answer(b"b 1\n")
    file = tmp_path / "targets" / "agents.yaml"
    file.parent.mkdir()
    file.write_text(f"- targets: ['127.0.0.1:{server.port}']\n  labels: {{agent: refund}}\n")
    async with Watch(tmp_path, file_sd=["targets/*.yaml", "targets/*.json"]) as watch:
        await watch.until(lambda: list(watch.health().values()) == ["up"])
        assert len(watch.query('a{agent="refund"}')) == 1

        file.write_text("- targets: [")
        await watch.until(watch.scraper.problems)
        assert "targets/agents.yaml" in watch.scraper.problems()[0]
        assert list(watch.health().values()) == ["up"]

        entry = {"targets": [f"127.0.0.1:{server.port}"], "labels": {"__metrics_path__": "/other"}}
        (tmp_path / "targets" / "more.json").write_text(json.dumps([entry]))
        await watch.until(lambda: len(watch.health()) == 2)

        file.unlink()
        await watch.until(lambda: watch.health() == {f"{server.url}/other": "up"})
        assert watch.scraper.problems() == []
        await watch.scrapes(1)
        assert watch.query("a") == []


async def test_http_sd_targets_and_a_registry_that_fails(server, tmp_path):
    server.pages["/metrics"] = answer(b"a 1\n")
    body = json.dumps([{"targets": [f"127.0.0.1:{server.port}"], "labels": {"agent": "refund"}}]).encode()
    server.pages["/sd"] = answer(body, content_type="application/json")
    sd = {"url": f"{server.url}/sd", "refresh": "1s", "bearer_token": "t0ken"}
    async with Watch(tmp_path, http_sd=[sd]) as watch:
        await watch.until(lambda: list(watch.health().values()) == ["up"])
        assert server.requests[0]["Authorization"] == "Bearer t0ken"
        assert all("Authorization" not in each for each in server.requests if each[":path"] == "/metrics")
        server.pages["/sd"] = answer(b"down", "503 Service Unavailable")
        await watch.until(watch.scraper.problems)
        assert list(watch.health().values()) == ["up"]
        server.pages["/sd"] = answer(b"[]", content_type="application/json")
        await watch.until(lambda: not watch.health())
        assert watch.scraper.problems() == []
