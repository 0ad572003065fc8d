"""`prometheus.yml` as what agentpager scrapes and which rules it evaluates.

What is made for thousands of targets (service discovery of clouds, relabelling, remote storage) stays where it is:
there Prometheus goes on, and either answers queries or posts its alerts.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from bot.importing.draft import Draft, slug
from bot.importing.reading import Item, Source
from bot.importing.receivers import authorization
from bot.schema import parse_duration, read_url

Entry = dict[str, Any]
_STAYS = (
    "leave it to Prometheus, and let that post its alerts here (docs/alertmanager.md) or be asked (metrics.prometheus)"
)
HINTS = {
    "alerting": "point Prometheus' alertmanagers at agentpager instead: docs/alertmanager.md",
    "remote_write": _STAYS,
    "remote_read": _STAYS,
    "storage": "samples are kept in memory, as long as rules need them",
    "tracing": "traces are set up by OTEL_* variables, see docs/tracing.md",
    "otlp": _STAYS,
    "relabel_configs": f"there is no relabelling: name the targets and their labels, or {_STAYS}",
    "metric_relabel_configs": f"label_map and drop_labels of a target rename and drop labels; for more {_STAYS}",
    "external_labels": "labels of a target: labels: under metrics.scrape.targets",
    "runtime": "there is nothing like it here",
    "query_log_file": "queries are not logged",
    "scrape_protocols": "formats are agreed with each target by itself",
    "proxy_url": "targets are asked without a proxy",
    "follow_redirects": "redirects of targets are not followed",
    "enable_http2": "HTTP/1.1 is spoken",
    "oauth2": "give the target a bearer_token_file that something renews",
    "scrape_classic_histograms": "classic histograms are what is read",
    "scrape_native_histograms": "classic histograms are what is read",
    "enable_compression": "gzip is asked for",
}
_LIMITS = {
    "sample_limit": "samples", "label_limit": "labels", "label_name_length_limit": "label_name_length",
    "label_value_length_limit": "label_value_length",
}  # fmt: skip
_SECRET = ("token", "key", "secret", "password", "auth")
_HERE = "\0"  # where the address goes
_UNITS = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30}


def read(source: Source, draft: Draft, prefix: str) -> None:
    """`prefix` leads from the new directory to that of the file."""
    root = source.root
    settings = root.get("global")
    scrape: Entry = draft.main.setdefault("metrics", {}).setdefault("scrape", {})
    for theirs, ours in (("scrape_interval", "interval"), ("scrape_timeout", "timeout")):
        _duration(settings, theirs, scrape, ours, f"metrics.scrape.{ours}")
    scrape.setdefault("interval", "1m")  # Prometheus' defaults, where the file says nothing
    scrape.setdefault("timeout", "10s")
    rules: Entry = {"files": [_path(one.own_text(), prefix) for one in root.all_of("rule_files")]}
    source.done.add(("rule_files",))
    if rules["files"]:
        root.get("rule_files").tell(
            "taken", "rule_files", "rules.files in agentpager.yaml; the files stay where they are"
        )
    _duration(settings, "evaluation_interval", rules, "interval", "rules.interval")
    rules.setdefault("interval", "1m")
    draft.main["rules"] = rules
    for job in root.all_of("scrape_configs"):
        _job(job, scrape, draft, prefix)
    if not scrape.get("targets") and not scrape.get("file_sd") and not scrape.get("http_sd"):
        draft.report.to_do.append("nothing is scraped: name targets under metrics.scrape, or metrics.prometheus")
    draft.fallback = f"person:{draft.stand_in()}"
    agents = dict.fromkeys(name for target in scrape.get("targets", ()) if (name := target["labels"].get("agent")))
    if agents:
        draft.agents = {name: {"owner": draft.fallback} for name in agents}
        root.get("scrape_configs").tell(
            "changed", "label agent", "agents/: name the owner of each in place of the stand-in"
        )


def _duration(item: Item, theirs: str, into: Entry, ours: str, where: str) -> None:
    if (text := item.text(theirs)) and _is_duration(item.get(theirs), theirs, text):
        into[ours] = text
        item.get(theirs).tell("taken", f"global.{theirs}", f"{where} in agentpager.yaml")


def _is_duration(item: Item, name: str, text: str) -> bool:
    try:
        good = bool(parse_duration(text))
        why = "it is no time at all"
    except ValueError as error:
        good, why = False, str(error)
    if not good:
        item.tell("left", name, why)
    return good


def _path(path: str, prefix: str) -> str:
    return path if path.startswith("/") or not prefix else f"{prefix}/{path}"


def _job(job: Item, scrape: Entry, draft: Draft, prefix: str) -> None:
    name = job.text("job_name") or "unnamed"
    access = _access(job, name, prefix)
    common: Entry = {"labels": {"job": name}}
    for theirs, ours in (("scrape_interval", "interval"), ("scrape_timeout", "timeout")):
        if (text := job.text(theirs)) and _is_duration(job.get(theirs), theirs, text):
            common[ours] = text
    if job.flag("honor_labels", False):
        common["honor_labels"] = True
    if not job.flag("honor_timestamps", True):
        common["honor_timestamps"] = False
    if limits := _limits(job):
        common["limits"] = limits
    base = f"{job.text('scheme') or 'http'}://{_HERE}{job.text('metrics_path') or '/metrics'}{_query(job, name)}"
    count = 0
    for group in job.all_of("static_configs"):
        labels = {key: value.own_text() for key, value in group.get("labels").entries()}
        for target in group.all_of("targets"):
            count += _target(target, base, common | access, labels, scrape)
        group.source.done.add((*group.path, "targets"))
    if count:
        job.tell("taken", f"scrape job {name}", f"{count} of metrics.scrape.targets")
    differs = sorted({*access, *common} - {"labels"}) + (
        ["scheme, path or parameters"] if base != f"http://{_HERE}/metrics" else []
    )
    for kind, key in (("file_sd_configs", "file_sd"), ("http_sd_configs", "http_sd")):
        for number, one in enumerate(job.all_of(kind)):
            _discovered(one, key, job, name, scrape, differs, prefix, number)
    for key in job.names():
        if key.endswith("_sd_configs") and key not in {"file_sd_configs", "http_sd_configs"}:
            job.leave(key, f"{key} of scrape job {name}", _STAYS)


def _target(item: Item, base: str, common: Entry, labels: dict[str, str], scrape: Entry) -> int:
    address = item.own_text()
    url = base.replace(_HERE, address)
    kept = {key: value for key, value in labels.items() if not key.startswith("__")}
    if special := sorted(set(labels) - set(kept)):
        item.tell(
            "left", f"target {address}", f"{', '.join(special)}: write it into the target's url, interval or timeout"
        )
    try:
        read_url(url)
    except ValueError as error:
        item.tell("left", f"target {address}", str(error))
        return 0
    scrape.setdefault("targets", []).append({"url": url, **common, "labels": {**common["labels"], **kept}})
    return 1


def _discovered(
    one: Item, key: str, job: Item, name: str, scrape: Entry, differs: list[str], prefix: str, number: int
) -> None:
    what = f"{key}_configs of scrape job {name}"
    entries = scrape.setdefault(key, [])
    if key == "file_sd":
        entries += [_path(file, prefix) for file in one.texts("files")]
        one.ignore("refresh_interval")
    else:
        url = one.text("url")
        try:
            read_url(url)
        except ValueError as error:
            one.tell("left", what, f"its url: {error}")
            return
        hides = "?" in url or "@" in url  # it may hold a secret
        entry: Entry = {"url": one.get("url").variable(f"{slug(name)}_{key}_url") if hides else url}
        if (refresh := one.text("refresh_interval")) and _is_duration(one, "refresh_interval", refresh):
            entry["refresh"] = refresh
        entries.append(entry | _access(one, f"{name} sd {number}" if number else f"{name} sd", prefix))
    where = f"metrics.scrape.{key}"
    job_label = f"its targets have the job agents unless their list gives them the label job: {name}"
    if differs:
        told = f"{where}; {', '.join(differs)} of the job do not count for targets of lists, and {job_label}"
    else:
        told = f"{where}; {job_label}"
    one.tell("changed", what, told)


def _query(job: Item, name: str) -> str:
    """Parameters of the address; what looks like a secret becomes a variable."""
    pairs = []
    for key, values in job.get("params").entries():
        hides = any(word in key.lower() for word in _SECRET)
        for number, text in enumerate(_several(values)):
            suffix = f"_{number + 1}" if number else ""
            pairs.append(f"{key}={values.variable(f'{slug(name)}_{key}{suffix}') if hides else quote(text)}")
    return f"?{'&'.join(pairs)}" if pairs else ""


def _several(values: Item) -> list[str]:
    values.source.done.add(values.path)
    return [one.own_text() for one in values.each()]


def _limits(job: Item) -> Entry:
    found: Entry = {ours: number for theirs, ours in _LIMITS.items() if (number := job.number(theirs))}
    if size := job.text("body_size_limit"):
        digits = size.rstrip("BKMGITbkmgit")
        unit = _UNITS.get(size[len(digits) :].upper() or "B")
        if digits.isdigit() and unit:
            found["body_size"] = int(digits) * unit
        else:
            job.get("body_size_limit").tell("left", "body_size_limit", f'"{size}" is no size in bytes')
    return found


def _access(item: Item, name: str, prefix: str) -> Entry:
    """Credentials and certificates; secrets as variables cannot stand in targets as files can."""
    variable = slug(name).upper()
    found: Entry = {}
    files = {"bearer_token_file": item, "credentials_file": item.get("authorization")}
    for key, where in files.items():
        if file := where.text(key):
            found["bearer_token_file"] = _path(file, prefix)
    basic = item.get("basic_auth")
    if basic:
        entry: Entry = {"username": basic.text("username")}
        if password := basic.secret("password", f"{variable}_PASSWORD"):
            entry["password"] = password
        if file := basic.text("password_file"):
            entry["password_file"] = _path(file, prefix)
        found = {"basic_auth": entry}
    elif not found and (header := authorization(item, variable)).startswith("Bearer "):
        found["bearer_token"] = header.removeprefix("Bearer ")
    elif not found and header:
        item.tell(
            "left",
            f"authorization of {name}",
            f"only Bearer and basic authentication are spoken, not {header.split()[0]}",
        )
    item.get("authorization").ignore("type")
    tls = item.get("tls_config")
    paths = {key: _path(file, prefix) for key in ("ca_file", "cert_file", "key_file") if (file := tls.text(key))}
    certificates: Entry = dict(paths)
    if server := tls.text("server_name"):
        certificates["server_name"] = server
    if tls.flag("insecure_skip_verify", False):
        certificates["insecure_skip_verify"] = True
    return found | ({"tls": certificates} if certificates else {})
