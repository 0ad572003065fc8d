import re  # noqa: TID251 - a fixed pattern
from random import Random

import pytest

from bot import templating
from bot.errors import TemplateError
from bot.templating import AnyKey, copied, parse

CONTEXT = {
    "agent": {"id": "refund-agent", "title": "Refund agent"},
    "alert": {"labels": {"tool": "crm", "items": "3", "__class__": "x"}, "value": 0.38, "starts_at": 1000.0},
    "checks": {"crm": {"ok": False}},
    "oncall": ["Ana Ruiz", "Ben Cole"],
    "now": 1365.0,
}


def render(source):
    return parse(source).render(CONTEXT)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("plain", "plain"),
        ("{{ agent.title }} and {{ alert.labels['tool'] }}", "Refund agent and crm"),
        ("{{ alert.value | humanizePercentage }}", "38%"),
        ("{{ 1234567 | humanize }} {{ 2048 | humanize1024 }} {{ 3725 | humanizeDuration }}", "1.235M 2ki 1h 2m 5s"),
        ("{{ 0 | humanizeTimestamp }}", "1970-01-01 00:00:00 +0000 UTC"),
        ("{{ 1700000000.9 | utc }}", "2023-11-14 22:13 UTC"),
        ("{{ 365 | duration }}, {{ alert.starts_at | ago }}", "6m 5s, 6m 5s ago"),
        ("{{ 'nan' | duration }} {{ '-inf' | duration }} {{ 'inf' | duration }}", "NaN -Inf +Inf"),
        ("{{ 'a b/c?d' | urlencode }}", "a%20b%2Fc%3Fd"),
        ("{{ oncall | join(', ') }}", "Ana Ruiz, Ben Cole"),
        (
            "{% for name in oncall %}{{ loop.index }}.{{ name }}{% if not loop.last %} {% endif %}{% endfor %}",
            "1.Ana Ruiz 2.Ben Cole",
        ),
        (
            "{% for name, text in alert.labels | items %}{{ name }}={{ text }};{% endfor %}",
            "__class__=x;items=3;tool=crm;",
        ),
        ("{% for n in range(3) %}{{ n }}{% endfor %}", "012"),
        ("{% if not checks.crm.ok %}rotate{% else %}wait{% endif %}", "rotate"),
        ("{{ 'yes' if alert.value > 0.05 else 'no' }}", "yes"),
        ("{{ alert.value * 100 }} {{ 7 // 2 }} {{ 7 % 4 }} {{ 1 / 4 }}", "38 3 3 0.25"),
        ("{{ agent.repo | default('no repository') }}", "no repository"),
        ("{{ none }}|{{ true }}", "|true"),
        ("a\n{%- if true %} b{% endif %}", "a b"),
    ],
)
def test_what_a_runbook_can_say(source, text):
    assert render(source) == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("see {{ agent.repo }}", "see ⟨missing agent.repo⟩"),
        ("{{ nothing.at.all }}", "⟨missing nothing.at.all⟩"),
        ("{{ agent.cost | humanize }}", "⟨missing agent.cost⟩"),
        ("{{ alert.labels['pod'] | urlencode }}", "⟨missing alert.labels.pod⟩"),
        ("{% if agent.repo %}x{% else %}y{% endif %}", "y"),
        ("{% for x in agent.list %}x{% endfor %}.", "."),
    ],
)
def test_what_is_missing_is_shown_and_the_text_goes_out(source, text):
    assert render(source) == text


def test_a_label_named_like_a_method_is_a_label():
    assert render("{{ alert.labels.items }}") == "3"


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ agent.__class__ }}",
        "{{ agent['__class__'] }}",
        "{{ agent.__init__.__globals__ }}",
        "{{ agent.path }}",
        "{{ self.__init__ }}",
        "{{ cycler.__init__.__globals__.os }}",
        "{{ range.__name__ }}",
        "{{ loop.__class__ }}",
        "{{ (1).__class__ }}",
        "{{ oncall.append }}",
        "{{ 'x'.format }}",
        "{{ none.__class__ }}",
        "{% for x in oncall %}{{ loop.__class__ }}{{ loop._iterable }}{% endfor %}",
    ],
)
def test_attributes_of_python_objects_are_not_there(source):
    try:
        text = render(source)
    except TemplateError:
        return
    assert text.startswith("⟨missing ")


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("{{ agent.get('id') }}", "nothing but range() can be called"),
        ("{{ 'x'.upper() }}", "nothing but range() can be called"),
        ("{{ lipsum(100) }}", "nothing but range() can be called"),
        ("{{ agent | attr('__class__') }}", 'there is no filter "attr"'),
        ("{{ oncall | map('upper') | list }}", 'there is no filter "list"'),
        ("{{ '%999999999d' | format(1) }}", 'there is no filter "format"'),
        ("{{ 'x' | center(999999999) }}", 'there is no filter "center"'),
        ("{{ 'x' | _each }}", 'there is no filter "_each"'),
        ("{{ 2 ** 99999999 }}", "** is not allowed"),
        ("{% set x = 1 %}", "set is not allowed"),
        ("{% set x %}a{% endset %}", "set is not allowed"),
        ("{% macro m() %}{% endmacro %}", "macro is not allowed"),
        ("{% import 'x' as y %}", "import is not allowed"),
        ("{% include 'x' %}", "include is not allowed"),
        ("{% extends 'x' %}", "extends is not allowed"),
        ("{% block a %}{% endblock %}", "block is not allowed"),
        ("{{ 'abc'[0:2] }}", "a slice is not allowed"),
        ("{{ {'a': 1} }}", "a literal dict is not allowed"),
        ("{{ range(*[1]) }}", "* and ** are not allowed"),
        ("{{ 'x' is mapping }}", 'there is no test "mapping"'),
        (
            "{% for a in oncall %}{% for b in oncall %}{% for c in oncall %}{% endfor %}{% endfor %}{% endfor %}",
            "loops",
        ),
        ("{% for a in oncall %}{% endfor %}" * 21, "more than 20 loops"),
        ("{% for a in oncall recursive %}{% endfor %}", "recursive"),
        ("x" * 8193, "longer than 8192"),
        ("{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "nested"),
        ("{{ " + "not " * 1500 + "1 }}", "nested"),
        ("{{ " + "- " * 2000 + "1 }}", "nested"),
        ("{{ 1" + " | abs" * 1000 + " }}", "nested"),
        ("{% if 1 %}" * 200 + "{% endif %}" * 200, "nested"),
        ("{{ agent.title", "unexpected end of template"),
        ("{% if %}{% endif %}", "Expected an expression"),
        ("{{ a b }}", "expected token"),
    ],
)
def test_what_is_refused_before_anything_runs(source, told):
    with pytest.raises(TemplateError) as caught:
        parse(source)
    assert told.lower() in str(caught.value).lower()


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'ab' * 999999999 }}",
        "{{ [1] * 999999999 }}",
        "{{ 999999999 * 'ab' }}",
        "{{ '%999999999d' % 1 }}",
        "{{ range(101) }}",
        "{% for x in range(99999999999) %}{% endfor %}",
        "{{ 1 / 0 }}",
        "{{ 'a' | replace('a', 'b' ~ 'c' * 9) }}",
        "{{ 'x' | replace('', 'y') }}",
        "{{ 1 | round(999999999) }}",
        "{{ agent.repo * 2 }}",
        "{{ 'abc' | humanize }}",
        "{% for letter in agent.id %}{% endfor %}",
        "{{ agent.repo > 5 }}",
    ],
)
def test_what_is_refused_when_it_runs(source):
    with pytest.raises(TemplateError):
        render(source)


def test_replace_cannot_be_chained_into_a_bomb():
    with pytest.raises(TemplateError, match="too long"):
        render("{{ 'aaaaaaaaaa'" + "| replace('a', 'aaaaaaaaaa')" * 10 + "}}")


def test_a_long_text_is_cut_when_shown_and_refused_when_checked():
    template = parse("{% for a in range(100) %}{% for b in range(100) %}{{ agent.title }}{% endfor %}{% endfor %}")
    text = template.render(CONTEXT)
    assert (len(text), text[-1]) == (3000, "…")
    with pytest.raises(TemplateError, match="more than 3000 characters"):
        template.check(CONTEXT)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("{{ agent.repo }}", '"agent.repo" is not known; there is id, title'),
        ("{{ nothing }}", '"nothing" is not known'),
        ("{% if agent.id == 'never' %}{{ agent.titel }}{% endif %}", '"agent.titel" is not known'),
        ("{% if agent.titel %}x{% endif %}", '"agent.titel" is not known'),
        ("{{ agent.id.x }}", '"agent.id.x" is not known'),
        ("{% for x in oncal %}{% endfor %}", '"oncal" is not known'),
        ("{{ loop.index }}", '"loop" is not known'),
    ],
)
def test_the_check_names_what_no_incident_will_have_in_any_branch(source, told):
    with pytest.raises(TemplateError) as caught:
        parse(source).check(CONTEXT)
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize(
    "source",
    [
        "{{ agent.repo | default('-') }}",
        "{% if agent.repo is defined %}{{ agent.id }}{% endif %}",
        "{% for x in oncall %}{{ x }}{{ loop.index }}{% endfor %}",
        "{{ anything.goes }}{{ anything['x-y'] | humanize }}",
    ],
)
def test_the_check_passes_what_may_be_missing_and_open_sets(source):
    parse(source).check({**CONTEXT, "anything": AnyKey()})


def test_a_context_of_python_objects_is_a_mistake_of_the_caller():
    with pytest.raises(TypeError, match="agent: a template cannot see a object"):
        parse("{{ agent }}").render({"agent": object()})


def test_rendering_twice_gives_the_same_and_leaves_the_context_alone():
    context = {"oncall": ["b", "a"]}
    template = parse("{{ oncall | sort | join }}")
    assert (template.render(context), template.render(context), context) == ("ab", "ab", {"oncall": ["b", "a"]})


@pytest.mark.parametrize(
    ("into", "text"),
    [
        ("text", "run a'; rm -rf / \"b\\ 5"),
        ("command", "run 'a'\"'\"'; rm -rf / \"b\\' 5"),
        ("query", "run a\\'; rm -rf / \\\"b\\\\ 5"),
    ],
)
def test_values_cannot_break_out_of_where_they_land(into, text):
    assert parse("run {{ label }} {{ 5 }}", into).render({"label": "a'; rm -rf / \"b\\"}) == text


def test_a_context_copied_once_serves_many_templates():
    source = {"alert": {"labels": AnyKey(), "name": "Down"}, "checks": {}}
    once = copied(source)
    source["alert"]["name"] = "Up"
    again = copied({**once, "checks": {"up": {"ok": True}}})
    assert copied(once) is once
    assert parse("{{ alert.name }} {{ alert.labels.any }}").check(again) == "Down 1"  # any label is there
    assert parse("{{ checks.up.ok }}").render(again) == "true"
    with pytest.raises(TemplateError, match="not known"):
        parse("{{ checks.up.ok }}").check(once)


PIECES = [
    "a ",
    "{{ alert.labels.tool }}",
    "{{agent.id}}",
    "{{ now }}",
    "{{ nope }}",
    "{{ nope.deeper }}",
    "{{ agent.gone.far }}",
]
PIECES += [
    "{{ alert.value }}",
    "{{ checks.x.ok }}",
    "{{ oncall }}",
    "{{ alert.labels }}",
    "{{ alert.labels.quote }}",
    "\n",
    "}}",
]
PIECES += [
    "{",
    "é",
    "'",
    '"',
    "{{ true }}",
    "{{ range }}",
    "{{ self }}",
    "{{ None }}",
    "{{ agent.id | upper }}",
    "{{ 1 }}",
    "{{ a.b",
    "%}",
]
PIECES += [
    "{{- now }}",
    "{{ agent . id }}",
    "{{\nagent.id\n}}",
    "{{ __class__ }}",
    "{{ agent.__class__ }}",
    "{{ alert.labels.items }}",
]


PIECES += [
    f"{{{{ {value} | {name} }}}}"
    for value in ("alert.labels.tool", "now", "gone.x", "oncall", "alert.labels")
    for name in (
        "ago",
        "urlencode",
        "humanize",
        "upper",
        "title",
        "duration",
        "round",
        "join",
        "items",
        "string",
        "truncate",
        "first",
        "nope",
    )
]
PIECES += [
    "{{ alert.labels.tool | trim | title }}",
    "{{now|ago|upper}}",
    "{{ agent.id | default('x') }}",
    "{{ now | }}",
    "{{ now || ago }}",
]


@pytest.mark.parametrize("into", ["text", "command", "query", "json", "form"])
def test_simple_texts_come_out_as_jinja_writes_them(into):
    random = Random(3)
    context = {
        "alert": {"labels": {"tool": "x y", "quote": "'\"\\\n"}, "value": 0.1 + 0.2},
        "agent": {"id": "a"},
        "now": 5,
        "checks": {"x": {"ok": True}},
        "oncall": ["Ana", None],
    }
    simple = 0
    for _ in range(2000):
        source = "".join(random.choices(PIECES, k=random.randint(0, 5)))
        try:
            slow = templating._compiled(source, templating._ENVIRONMENTS[into])
        except TemplateError as error:
            with pytest.raises(TemplateError, match=re.escape(str(error))):
                templating.parse(source, into)
            continue
        fast = templating.parse(source, into)
        simple += isinstance(fast._template, templating._Simple)
        assert (fast.names, fast.paths) == (slow.names, slow.paths), source
        assert said(fast, context) == said(slow, context), source
        assert said(fast, {}) == said(slow, {}), source
    assert simple > 300


def said(text, context):
    try:
        return text.render(context)
    except TemplateError as error:
        return str(error)
