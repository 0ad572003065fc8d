import pytest

from bot.errors import TemplateError
from bot.rules.template import Scope, parse

SCOPE = Scope({"job": "api", "x": "7.5", "empty": ""}, 0.381, {"dc": "eu"}, "https://pager.example.com/p")


def render(source, value=0.381):
    return parse(source).render(Scope(SCOPE.labels, value, SCOPE.external_labels, SCOPE.external_url))


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("plain }} text", "plain }} text"),
        ('{{ $labels.job }} {{ .Labels.job }} {{ index $labels "job" }} {{ index .Labels `job` }}', "api api api api"),
        ('[{{ $labels.nope }}{{ index $labels "nope" }}]', "[]"),
        ("{{ $value }} {{ .Value }} {{ $.Value }}", "0.381 0.381 0.381"),
        (
            "{{ $externalLabels.dc }} {{ .ExternalLabels.dc }} {{ $externalURL }} {{ externalURL }} {{ pathPrefix }}",
            "eu eu https://pager.example.com/p https://pager.example.com/p /p",
        ),
        ("{{ $value | humanizePercentage }} {{ humanizePercentage $value }}", "38.1% 38.1%"),
        ('{{ 1234567.0 | humanize }} {{ humanize "2048" }} {{ humanize1024 2048 }}', "1.235M 2.048k 2ki"),
        ("{{ humanizeDuration -1e20 }}", "--106751991167300d -15h -30m -8s"),
        ("{{ humanizeDuration 3725 }} {{ 0 | humanizeTimestamp }}", "1h 2m 5s 1970-01-01 00:00:00 +0000 UTC"),
        (
            '{{ printf "%.2f|%5.1f|%-6s|%q|%d|%v|%%|%+d|%05d" $value 1.26 "ab" $labels.job 5 true 3 42 }}',
            '0.38|  1.3|ab    |"api"|5|true|%|+3|00042',
        ),
        ('{{ $value | printf "%.1f" }}', "0.4"),
        ('{{ $labels.job | toUpper | printf "%s!" }}', "API!"),
        ('{{ title "some WORDS here" }} {{ toLower "ABC" }}', "Some WORDS Here abc"),
        ("{{ if gt $value 0.2 }}high{{ else }}low{{ end }}", "high"),
        ("{{ if gt $value 0.5 }}a{{ else if gt $value 0.3 }}b{{ else }}c{{ end }}", "b"),
        ("{{ if $labels.empty }}a{{ end }}{{ if $labels.job }}b{{ end }}", "b"),
        ("{{ if and $labels.job (not $labels.nope) }}y{{ end }}", "y"),
        ('{{ or $labels.nope "none" }} {{ and $labels.nope "x" }}|', "none |"),
        (
            '{{ eq $labels.job "web" "api" }} {{ ne 1 2 }} {{ lt 1.5 2.5 }} {{ le 2 2 }} {{ ge "b" "a" }}',
            "true true true true true",
        ),
        ('a  {{- " b " -}}  c', "a b c"),
        ("a\n{{- /* why */ -}}\nb{{/* c */}}", "ab"),
        ("{{ $x := $value | humanize }}{{ $x }}/{{ $x }}", "381m/381m"),
        ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}", "2"),
        ("{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ $x }}{{ end }}{{ $x }}", "21"),
        ('{{ $labels }} {{ len $labels }} {{ len "é" }}', "map[empty: job:api x:7.5] 3 2"),
        ('{{ print 1 2 "a" 3 }} {{ urlquery "a b&c" }}', "1 2a3 a+b%26c"),
        ('{{ stripPort "host:80" }} {{ stripPort "[::1]:80" }} {{ stripPort "host" }}', "host ::1 host"),
        ('{{ parseDuration "1h30m" }}', "5400"),
        ('{{ "}}" }}{{ `{{` }}', "}}{{"),
        ('{{ (printf "%s" $labels.job) | toUpper }}', "API"),
    ],
)
def test_what_a_template_says(source, text):
    assert render(source) == text


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        ('{{ printf "%d" 1.5 }}', "%!d(float64=1.5)"),
        ('{{ printf "%s %d" "a" }}', "a %!d(MISSING)"),
        ('{{ printf "x" 3 }}', "x%!(EXTRA int=3)"),
        ('{{ printf "%f" "a" }}', "%!f(string=a)"),
    ],
)
def test_a_wrong_verb_prints_what_go_prints(layout, text):
    assert render(layout) == text


@pytest.mark.parametrize(
    ("source", "offset", "told"),
    [
        ("ab {{ foo 1 }}", 6, 'function "foo" is not supported'),
        ("{{ $value | nope }}", 12, 'function "nope" is not supported'),
        ("{{ humanize foo }}", 12, 'function "foo" is not supported'),
        ('{{ query "up" }}', 3, 'function "query" is not supported'),
        ("x{{ range .Labels }}{{ end }}", 1, '"range" is not supported'),
        ("{{ with .Value }}{{ end }}", 0, '"with" is not supported'),
        ('{{ template "x" }}', 0, '"template" is not supported'),
        ("{{ $nope }}", 3, "undefined variable $nope"),
        ("{{ $nope = 1 }}", 3, "undefined variable $nope"),
        ("{{ .Foo }}", 3, "can't evaluate field Foo"),
        ("a {{ $value", 2, "unclosed action"),
        ('{{ "abc }}', 0, "unterminated string"),
        ("{{ if true }}x", 0, "{{end}} of this if is missing"),
        ("x{{ end }}", 1, "no if is open"),
        ("{{ }}", 0, "missing value"),
        ("{{ $value | }}", 10, "missing value"),
        ("{{ $value 5 }}", 3, '"$value" is not a function'),
        ("{{ 5 | $value }}", 7, "cannot pipe into"),
        ("{{ nil }}", 3, "nil is not a command"),
        ("{{ (1 }}", 3, "unclosed left paren"),
        ("{{ humanize }}", 3, "wrong number of args for humanize: want 1 got 0"),
        ("{{ humanize 1 2 }}", 3, "wrong number of args for humanize: want 1 got 2"),
        ("{{ humanize 1 | eq }}", 16, "wrong number of args"),
        ('{{ printf "\\z" }}', 10, "unknown escape"),
        ("{{ @ }}", 3, 'unexpected "@"'),
        ("{{ if true }}{{ else }}{{ else }}{{ end }}", 23, "no if is open"),
        ("{{ if 1 }}" * 31 + "{{ end }}" * 31, 300, "nested deeper than 30"),
        ("{{ " + "(" * 31 + "1" + ")" * 31 + " }}", 33, "nested deeper than 30"),
        ("x" * 8193, 0, "longer than 8192"),
    ],
)
def test_what_is_not_understood_is_named_with_its_offset_before_anything_fires(source, offset, told):
    with pytest.raises(TemplateError) as caught:
        parse(source)
    assert told in str(caught.value)
    assert caught.value.offset == offset


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("{{ humanize $labels.job }}", 'error calling humanize: "api" is not a number'),
        ("{{ if gt $value 5 }}{{ end }}", "incompatible types for comparison: write the number as 5.0, not 5"),
        ('{{ eq 1 "1" }}', "incompatible types for comparison"),
        ("{{ $value.x }}", "can't evaluate field x in type float64"),
        ("{{ humanizeTimestamp 1e20 }}", "cannot be represented"),
        ('{{ printf "%2000d" 1 }}', "printf width or precision over 1000"),
        ('{{ index $value "x" }}', "can't index item of type float64"),
        ("{{ toUpper 5 }}", "expected string; got int"),
        ('{{ parseDuration "x" }}', "is not a duration"),
        ("{{ . }}", "alone prints nothing"),
        ("{{ print . }}", "cannot be an argument"),
        (
            "{{ humanize true }}",
            "can't convert bool",
        ),
    ],
)
def test_what_goes_wrong_when_rendering_is_an_error_of_the_template(source, told):
    with pytest.raises(TemplateError) as caught:
        render(source)
    assert told in str(caught.value)


def test_a_template_tells_what_it_reads():
    template = parse('{{ $labels.a }}{{ index $labels "b" }}{{ .Labels.c }}{{ if true }}{{ $value }}{{ end }}')
    assert (template.labels, template.reads_value, template.static) == ({"a", "b", "c"}, True, False)
    assert parse("text").static is True
    assert parse("{{ $labels.a }}").reads_value is False
    assert parse("{{ . | print }}").reads_value is True


def test_a_long_output_is_refused():
    source = '{{ $x := printf "%1000s" "" }}' + "{{ $x }}" * 70
    with pytest.raises(TemplateError, match="longer than 65536"):
        render(source)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (100000.0, "100000"),
        (1e6, "1e+06"),
        (1234567.0, "1.234567e+06"),
        (0.0001, "0.0001"),
        (0.00001234, "1.234e-05"),
        (12.0, "12"),
        (-0.25, "-0.25"),
        (float("nan"), "NaN"),
        (float("inf"), "+Inf"),
        (float("-inf"), "-Inf"),
        (1e21, "1e+21"),
        (123456.789, "123456.789"),
    ],
)
def test_numbers_print_as_go_prints_them(value, text):
    assert render("{{ $value }}", value) == text
