"""Whatever stands in a template of either language, the only thing that comes out beside text is TemplateError."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bot import templating
from bot.errors import TemplateError
from bot.rules import template

_GO = ["{{", "}}", "{{-", " -}}", "if", "else", "end", "$labels.x", "$value", ".Labels", "$x", ":=", "=", "|", "(", ")"]
_GO += [
    "humanize",
    "printf",
    '"%d%s"',
    "5",
    "5.0",
    "eq",
    "and",
    ".",
    "/*",
    "*/",
    "`",
    "index",
    "range",
    "\n",
    "nil",
    "é",
]
_JINJA = [
    "{{",
    "}}",
    "{%",
    "%}",
    "{#",
    "#}",
    "if",
    "else",
    "endif",
    "for",
    "in",
    "endfor",
    "agent.id",
    "labels",
    "[",
    "]",
]
_JINJA += [
    "~",
    "+",
    "*",
    "**",
    "-",
    "|",
    "(",
    ")",
    "loop.index",
    "default",
    "round",
    "join",
    "is",
    "defined",
    "'a'",
    "5",
    "x",
]


def texts(words):
    spaced = st.lists(st.sampled_from(words), max_size=25).map(" ".join)
    return spaced | spaced.map(lambda text: "{{ " + text + " }}") | st.text(max_size=40)


@given(texts(_GO))
@settings(max_examples=300, deadline=None)
def test_go_templates(source):
    try:
        rendered = template.parse(source).render(template.Scope({"x": "1"}, 2.0))
    except TemplateError as error:
        rendered = f"{error.offset}" if error.offset <= len(source) else None
    assert isinstance(rendered, str)


@given(texts(_JINJA))
@settings(max_examples=300, deadline=None)
def test_jinja_templates(source):
    try:
        rendered = templating.parse(source).render({"agent": {"id": "a"}, "labels": {"x": "1"}, "x": [1, 2]})
    except TemplateError as error:
        rendered = str(error)
    assert len(rendered) <= templating.MAX_OUTPUT
