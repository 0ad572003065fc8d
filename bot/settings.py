"""`agentpager.yaml` as frozen objects. What each key means stands in docs/configuration.md."""

from __future__ import annotations

import base64
from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, field_validator, model_validator

from bot.labels import parse_matchers
from bot.schema import Channel, Duration, Listen, Model, Positive, Url, Zone, read_url

Files = tuple[str, ...]

# Each is a preset of bot/metrics/profiles.py.
ProfileName = Literal[
    "agent",
    "otel",
    "openllmetry",
    "openlit",
    "adk",
    "pydantic-ai",
    "strands",
    "litellm",
    "langgraph",
    "vllm",
    "envoy",
    "kong",
]


class BasicAuth(Model):
    username: str
    password: SecretStr = SecretStr("")
    password_file: str | None = None


class TLS(Model):
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    server_name: str | None = None
    insecure_skip_verify: bool = False


class ScrapeLimits(Model):
    """What one scrape may bring; a scrape over any of these fails whole, as in Prometheus."""

    body_size: int = Field(16 * 1024 * 1024, gt=0)  # bytes after decompression
    samples: int = Field(50_000, gt=0)
    labels: int = Field(64, gt=0)
    label_name_length: int = Field(256, gt=0)
    label_value_length: int = Field(2048, gt=0)


class Access(Model):
    """How to ask one HTTP end for metrics or targets."""

    bearer_token: SecretStr | None = None
    bearer_token_file: str | None = None
    basic_auth: BasicAuth | None = None
    tls: TLS | None = None

    @model_validator(mode="after")
    def _one_kind_of_credentials(self) -> Access:
        kinds = [self.bearer_token, self.bearer_token_file, self.basic_auth]
        if sum(kind is not None for kind in kinds) > 1:
            raise ValueError("use only one of bearer_token, bearer_token_file and basic_auth")
        return self


def _mapped(name: str) -> str:
    bare = name.replace("_", "a")
    if not (bare.isascii() and bare.isalnum()) or name[:1].isdigit() or name.startswith("__"):
        raise ValueError("a label has letters, digits and _, no digit first, and not two _ first")
    return name


MappedLabel = Annotated[str, AfterValidator(_mapped)]


class Target(Access):
    """What is set here wins over what `profile` brings, key by key."""

    url: Url
    labels: dict[str, str] = {}
    interval: Positive | None = None
    timeout: Positive | None = None
    honor_labels: bool = False
    honor_timestamps: bool = True
    profile: tuple[ProfileName, ...] = ()
    label_map: dict[MappedLabel, MappedLabel] = {}  # what the target exposes → what it is stored as
    drop_labels: tuple[str, ...] = ()
    on_duplicate: Literal["fail", "sum"] = "fail"  # what to do when dropped labels make two series one
    keep_created: bool = False
    limits: ScrapeLimits | None = None

    @field_validator("profile", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


class HttpSD(Access):
    url: Url
    refresh: Positive = timedelta(minutes=1)


class Scrape(Model):
    interval: Positive = timedelta(seconds=15)
    timeout: Positive = timedelta(seconds=5)
    targets: tuple[Target, ...] = ()
    file_sd: Files = ()
    http_sd: tuple[HttpSD, ...] = ()
    limits: ScrapeLimits = ScrapeLimits()


HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]


class Prometheus(Access):
    """An engine elsewhere that holds the samples and answers Prometheus' query API."""

    url: Url
    tenant: str | None = Field(None, min_length=1, pattern=r"^[\x21-\x7e]+$", examples=["agents"])
    headers: dict[HeaderName, SecretStr] = {}
    params: dict[str, str] = {}
    method: Literal["post", "get"] = "post"
    timeout: Positive = timedelta(seconds=10)
    concurrency: int = Field(10, ge=1, le=200)
    attempts: int = Field(3, ge=1, le=10)
    partial_response: bool = False


class Metrics(Model):
    """Scraped here, or asked of an engine elsewhere."""

    scrape: Scrape = Scrape()
    prometheus: Prometheus | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Metrics:
        scrape = self.scrape
        if self.prometheus is not None and (scrape.targets or scrape.file_sd or scrape.http_sd):
            raise ValueError(
                "with metrics.prometheus the engine does the scraping: move the targets of metrics.scrape to it"
            )
        return self


class Rules(Model):
    files: Files = ("alerts/*.yaml",)
    interval: Positive = timedelta(seconds=15)


class Query(Model):
    """What one query may use, what PromQL means beyond its stable core, and how long the samples that rules read are
    kept for charts and questions."""

    lookback_delta: Positive = timedelta(minutes=5)
    timeout: Positive = timedelta(seconds=30)
    max_samples: int = Field(50_000_000, gt=0)
    max_series: int = Field(1_000_000, gt=0)
    experimental_functions: bool = False
    history: Annotated[Duration, Field(ge=timedelta())] = timedelta(hours=1)


class Runbooks(Model):
    files: Files = ("runbooks/*.yaml",)


class Agents(Model):
    files: Files = ("agents/*.yaml",)


class Slos(Model):
    """Files of OpenSLO documents."""

    files: Files = ("slos/*.yaml",)


class Oncall(Model):
    """`feed_interval` is how often calendars at an address are read, `feed_grace` how long one may fail before somebody
    is told; `coverage_days` how far ahead the proof looks that somebody is on duty."""

    files: Files = ("oncall/*.yaml",)
    feed_interval: Annotated[Duration, Field(ge=timedelta(minutes=1))] = timedelta(minutes=15)
    feed_grace: Duration = timedelta(hours=1)
    coverage_days: int = Field(28, ge=1, le=366)


class Incidents(Model):
    files: Files = ("incidents/*.yaml",)


class Email(Model):
    """Where mail is handed in. The server must show a certificate that is known, or one of `ca_file`."""

    host: str = Field(min_length=1, examples=["smtp.example.com"])
    port: int = Field(587, ge=1, le=65535)
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    username: str | None = None
    password: SecretStr | None = None
    password_file: str | None = None
    sender: str = Field(alias="from", pattern=r"^[^\s@<>,;:\"]+@[^\s@<>,;:\"]+$", examples=["pager@example.com"])
    ca_file: str | None = None
    timeout: Positive = timedelta(seconds=10)

    @model_validator(mode="after")
    def _keeps_the_password(self) -> Email:
        if self.tls == "none" and self.username is not None:
            raise ValueError("a password is not sent over a plain connection; use tls: starttls or implicit")
        return self


def _is_webhook_secret(value: SecretStr) -> SecretStr:
    if problem := webhook_secret_problem(value.get_secret_value()):
        raise ValueError(problem)
    return value


def webhook_secret_problem(text: str) -> str:
    """Empty when the text is a secret as Standard Webhooks writes them; so is nothing at all, which may be filled in
    later."""
    if not text:
        return ""
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True) if text.startswith("whsec_") else b""
    except ValueError:
        key = b""
    return (
        "" if 24 <= len(key) <= 64 else "a secret is whsec_ and the base64 of 24 to 64 bytes; see docs/notifications.md"
    )


def _is_address(value: SecretStr) -> SecretStr:
    if value.get_secret_value():
        read_url(value.get_secret_value())
    return value


WebhookName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
SecretName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]


class Webhook(Model):
    """One address that is posted to, signed with `secret` as Standard Webhooks says. The address is a secret too: it
    often holds one. `allow_private` lets it be one of the own network. `body` is a template of what is posted, and
    `secrets` are for it."""

    url: Annotated[SecretStr, AfterValidator(_is_address)]
    secret: Annotated[SecretStr, AfterValidator(_is_webhook_secret)] | None = None
    secret_file: str | None = None
    headers: dict[HeaderName, SecretStr] = {}
    body: str | None = None
    secrets: dict[SecretName, SecretStr] = {}
    allow_private: bool = False
    timeout: Positive = timedelta(seconds=10)


def _is_matcher(text: str) -> str:
    return " ".join(str(matcher) for matcher in parse_matchers(text))


class Receiver(Webhook):
    """A system that is told of incidents as Alertmanager tells its receivers: of those of `owners`, and of the alerts
    that all `matchers` match; without them of everything. `max_alerts` in one request; 0 is no limit."""

    owners: Annotated[tuple[str, ...], BeforeValidator(lambda one: (one,) if isinstance(one, str) else one)] = ()
    matchers: Annotated[
        tuple[Annotated[str, AfterValidator(_is_matcher)], ...],
        BeforeValidator(lambda one: (one,) if isinstance(one, str) else one),
    ] = ()
    send_resolved: bool = True
    max_alerts: int = Field(100, ge=0)


class Notify(Model):
    """The ways to a person besides Slack, and other systems that are told of incidents. `second_channel_after` is how
    long a page to Slack may stay unconfirmed."""

    email: Email | None = None
    webhooks: dict[WebhookName, Webhook] = {}
    receivers: dict[WebhookName, Receiver] = {}
    second_channel_after: Positive = timedelta(seconds=30)
    ack_link_lifetime: Positive = timedelta(minutes=30)


class Allowed(Model):
    """Requests that runbooks may make: `*` in `path` stands for one part between slashes."""

    path: str = Field(pattern=r"^/", examples=["/agents/*/pause"])
    methods: Annotated[tuple[Literal["GET", "POST", "PUT", "PATCH", "DELETE"], ...], Field(min_length=1)] = ("POST",)


class ActionWebhook(Model):
    """A service that the actions of runbooks may ask, and for what. A request carries `bearer_token` or `headers`, and
    is signed with `secret` as Standard Webhooks says. `allow_private` lets it be one of the own network."""

    url: Annotated[SecretStr, AfterValidator(_is_address)]
    allow: Annotated[tuple[Allowed, ...], Field(min_length=1)]
    bearer_token: SecretStr | None = None
    bearer_token_file: str | None = None
    headers: dict[HeaderName, SecretStr] = {}
    secret: Annotated[SecretStr, AfterValidator(_is_webhook_secret)] | None = None
    secret_file: str | None = None
    allow_private: bool = False
    timeout: Positive = timedelta(seconds=10)


class Actions(Model):
    """What runbooks may do by themselves, once people have agreed."""

    webhooks: dict[WebhookName, ActionWebhook] = {}


class Push(Model):
    """Alerts that are posted as to Alertmanager: one without an end is over after `resolve_timeout`."""

    resolve_timeout: Positive = timedelta(minutes=5)


LabelName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]{0,63}$")]


class BridgeMap(Model):
    """How the JSON of another system becomes an alert. The values are templates that see the alert as `it` and the
    whole request as `body`; but `each` is where in the request a list of alerts stands, and `resolved` are the values
    of `state` that say that one has ended. `key` makes two requests speak of the same alert."""

    each: str | None = Field(None, pattern=r"^[A-Za-z0-9_.-]+$", examples=["alerts"])
    alertname: str
    state: str = ""
    resolved: tuple[str, ...] = ("ok", "resolved", "closed", "inactive")
    key: str = ""
    labels: dict[LabelName, str] = {}
    annotations: dict[LabelName, str] = {}


class Bridge(Model):
    """Alerts that another system sends. Whoever sends them shows `token`, or signs with `secret` where `kind` is
    langfuse. `agents` says which of ours is meant by a name of theirs; `labels` and `annotations` are put on each
    alert; one that nobody ends is over after `resolve_after`, by default when a person resolves it."""

    kind: Literal["litellm", "langfuse", "alertmanager", "json"]
    token: SecretStr | None = None
    token_file: str | None = None
    secret: SecretStr | None = None
    secret_file: str | None = None
    agents: dict[str, str] = {}
    labels: dict[LabelName, str] = {}
    annotations: dict[LabelName, str] = {}
    resolve_after: Positive | None = None
    map: BridgeMap | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Bridge:
        signed = self.secret is not None or self.secret_file is not None
        if signed and self.kind != "langfuse":
            raise ValueError("only langfuse signs its requests; give the others a token")
        if not signed and self.token is None and self.token_file is None:
            raise ValueError("without a token anybody could wake people; give token or token_file")
        if (self.map is not None) is not (self.kind == "json"):
            raise ValueError("map is for kind: json, which needs one")
        return self


class Slack(Model):
    """`sockets` are the connections of Socket Mode that are held at a time; `charts` puts a picture of the alert's
    expression into the thread, where the extra `charts` is installed."""

    mode: Literal["socket", "http"] = "socket"
    bot_token: SecretStr = SecretStr("")
    bot_token_file: str | None = None
    app_token: SecretStr = SecretStr("")
    app_token_file: str | None = None
    signing_secret: SecretStr = SecretStr("")
    signing_secret_file: str | None = None
    channel: Channel = "#agent-pages"
    sockets: int = Field(2, ge=1, le=4)
    charts: bool = True
    api_url: Annotated[Url, Field(pattern="/$", examples=["https://slack.com/api/"])] = "https://slack.com/api/"


class Retention(Model):
    """`incidents` is how long what is over stays in the database; `archive` is the directory it is moved to, by default
    one beside the database. `track_record` is how long the hours of agents stay."""

    incidents: Positive = timedelta(days=730)
    archive: str | None = None
    track_record: Annotated[Duration, Field(ge=timedelta(days=1))] = timedelta(days=180)


def _is_database(value: SecretStr) -> SecretStr:
    url = value.get_secret_value()
    if url and not any(url.startswith(kind) and url != kind for kind in _DATABASES):
        raise ValueError(
            "write sqlite:///agentpager.db, or a PostgreSQL address such as postgresql://agentpager@db.internal/agentpager"
        )
    return value


_DATABASES = ("sqlite:///", "postgresql://", "postgresql+psycopg://", "postgres://")


class Store(Model):
    """`url` may hold a password, and is treated as if it did."""

    url: Annotated[SecretStr, AfterValidator(_is_database)] = SecretStr("sqlite:///agentpager.db")
    url_file: str | None = None
    retention: Retention = Retention()

    @model_validator(mode="before")
    @classmethod
    def _one_address(cls, data: Any) -> Any:
        """A file that cannot be read must not turn into a new, empty database."""
        if not isinstance(data, dict) or data.get("url_file") is None:
            return data
        if "url" in data:
            raise ValueError("use only one of url and url_file")
        return {**data, "url": ""}


SHORTEST_TOKEN = 16  # characters; shorter ones can be guessed


class ApiScope(StrEnum):
    """What a token of the API may do. docs/api.md says which path needs which."""

    READ = "read"  # look at everything: incidents, rotas, records, queries
    ACT = "act"  # on incidents: acknowledge, hand on, resolve, notes, steps of runbooks
    PAGE = "page"  # wake somebody by hand, send a test page
    SILENCE = "silence"
    ROTA = "rota"  # overrides, swaps, addresses of calendars
    DRILL = "drill"
    RUN = "run"  # actions of runbooks: ask, agree, refuse
    INGEST = "ingest"  # post alerts, as to Alertmanager
    METRICS = "metrics"  # our own /metrics, where it is not open
    IMPERSONATE = "impersonate"  # act for any person
    ADMIN = "admin"  # all of these, and reload


class ApiToken(Model):
    """Who may ask the API. `expires` is the last day on which it works, in UTC; `person` whom it acts for."""

    hash: str | None = Field(None, pattern=r"^sha256:[0-9a-f]{64}$")
    token: SecretStr | None = None
    token_file: str | None = None
    scopes: tuple[ApiScope, ...] = Field(min_length=1)
    expires: date | None = None
    person: str | None = None

    @model_validator(mode="after")
    def _one_secret(self) -> ApiToken:
        if sum(given is not None for given in (self.hash, self.token, self.token_file)) != 1:
            raise ValueError("give one of hash, token and token_file; agentpager token new makes one")
        return self


class RateLimit(Model):
    """Requests of one token, or without one of one address: so many a second on average, and so many at once."""

    per_second: float = Field(100.0, ge=0, le=1_000_000)  # 0 is no limit
    burst: int = Field(1000, ge=1, le=1_000_000)


class Http(Model):
    """`token` is one without a name that may do everything."""

    listen: Listen = "127.0.0.1:9095"
    external_url: Url | Literal[""] = ""
    token: SecretStr | None = None
    token_file: str | None = None
    tokens: dict[WebhookName, ApiToken] = {}
    metrics: Literal["open", "token"] = "open"
    limit: RateLimit = RateLimit()

    @property
    def locked(self) -> bool:
        """Whether the API asks for a token; one that cannot be read opens nothing."""
        return bool(self.tokens) or self.token is not None or self.token_file is not None


class Heartbeat(Model):
    url: Url
    interval: Positive = timedelta(minutes=1)


def _opens_a_trace(text: str) -> str:
    if text:
        read_url(text)
        if "{trace_id}" not in text:
            raise ValueError("{trace_id} has to stand where the id of the trace belongs")
    return text


class Digest(Model):
    """What is told without being asked: each hand-over of a schedule in its team's channel, the day and the week in
    ours."""

    handover: bool = False
    daily: str | None = Field(None, pattern=r"^([01]\d|2[0-3]):[0-5]\d$", examples=["09:00"])
    weekly: str | None = Field(
        None, pattern=r"^(Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([01]\d|2[0-3]):[0-5]\d$", examples=["Mon 09:00"]
    )
    timezone: Zone = "UTC"


class Tracing(Model):
    """Where traces of incidents go: the base of an OTLP/HTTP collector, and headers for it. `url` opens one, with
    `{trace_id}` in it."""

    endpoint: Url | None = Field(None, examples=["http://otel-collector:4318"])
    headers: dict[HeaderName, SecretStr] = {}
    url: Annotated[str, AfterValidator(_opens_a_trace)] = Field(
        "", max_length=450, examples=["https://jaeger.example.com/trace/{trace_id}"]
    )


class Shifts(Model):
    """A direct message to who is on call soon, `ahead` of the shift, and when it begins. User groups in Slack are kept
    in step with schedules that name one."""

    messages: bool = False
    ahead: Positive = timedelta(hours=24)


class Settings(Model):
    metrics: Metrics = Metrics()
    rules: Rules = Rules()
    query: Query = Query()
    runbooks: Runbooks = Runbooks()
    agents: Agents = Agents()
    slos: Slos = Slos()
    oncall: Oncall = Oncall()
    incidents: Incidents = Incidents()
    notify: Notify = Notify()
    actions: Actions = Actions()
    bridges: dict[WebhookName, Bridge] = {}
    push: Push = Push()
    slack: Slack = Slack()
    store: Store = Store()
    http: Http = Http()
    heartbeat: Heartbeat | None = None
    tracing: Tracing = Tracing()
    digest: Digest = Digest()
    shifts: Shifts = Shifts()
