"""Texts that mean harm, and how many of them: a fixed set in CI, FUZZ=number for as many as wanted."""

from __future__ import annotations

import os
from random import Random

from differential.generator import Generator, Speech
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

_WANTED = os.environ.get("FUZZ")
EXAMPLES = int(_WANTED or 300)
profile = settings(
    max_examples=EXAMPLES,
    derandomize=_WANTED is None,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)

_PIECES = (
    *(
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        ",",
        '"',
        "'",
        "`",
        "\\",
        "#",
        "\n",
        "\x00",
        "é",
        "\U0001f600",
        "\ud800",
        "=~",
        "!~",
    ),
    *(
        " by ",
        " without ",
        " on() ",
        " offset ",
        " @ ",
        " bool ",
        ":",
        "-",
        "+",
        "5m",
        "1e999",
        "0x",
        "NaN",
        "Inf",
        "__",
    ),
    *(
        "_",
        "start()",
        "end()",
        " and ",
        " atan2 ",
        "99999999999999999999",
        "1y",
        "0s",
        "$1",
        "(?P<a>",
        "\\xff",
        "\\u12",
    ),
)
_HUGE = ("100y", "1ms", "0s", "290y", "99999999999w", "1e18", "-1e18", "9223372036854775807", "1e308", "5e-324")


def query(seed: int) -> str:
    return str(Generator(f"fuzz.{seed}", Speech()).question().query)


@st.composite
def broken_queries(draw: st.DrawFn) -> str:
    """A valid query cut off, with pieces put in, taken out, doubled, or swapped."""
    text = query(draw(st.integers(0, 1 << 30)))
    for _ in range(draw(st.integers(1, 4))):
        at, length = draw(st.integers(0, len(text))), draw(st.integers(0, 12))
        piece = draw(st.sampled_from([*_PIECES, text[at : at + length] * 2, ""]))
        text = text[:at] + piece + text[at + length :]
    return text[: draw(st.integers(0, len(text) + 1))] if draw(st.booleans()) else text


def exaggerated(text: str, chance: Random) -> str:
    """Every number and duration of the query may become one that no memory and no calendar holds."""
    out, rest = "", text
    while rest:
        digits = next((n for n, letter in enumerate(rest) if letter.isdigit()), None)
        if digits is None:
            return out + rest
        end = digits
        while end < len(rest) and (rest[end].isalnum() or rest[end] == "."):
            end += 1
        inside = digits > 0 and (rest[digits - 1].isalnum() or rest[digits - 1] in "_\"'")
        keep = inside or chance.random() < 0.6
        out += rest[:digits] + (rest[digits:end] if keep else chance.choice(_HUGE))
        rest = rest[end:]
    return out


def towers() -> list[str]:
    """Depth and length of every kind the grammar has, up to well past the limits."""
    found = []
    for size in (10, 60, 99, 100, 101, 200, 249, 251, 1000, 3000):
        found += [
            "(" * size + "1" + ")" * size,
            "-" * size + "1",
            "- " * size + "a",
            "1" + "+1" * size,
            "1" + "^1" * size,
            "a" + " or a" * size,
            "a" + " unless on(b) a" * size,
            "-(" * size + "a" + ")" * size,
            "abs(" * size + "a" + ")" * size,
            "sum by (x) (" * size + "a" + ")" * size,
            "max_over_time(" * size + "a" + "[5m:1m])" * size,
            "(" * size + "a" + ")[5m:1m]" * size,
            "a + (" * size + "a" + ")" * size,
            "(a + " * size + "a" + ")" * size,
            "topk(scalar(" * size + "a" + "), a)" * size,
            "{" * size,
            "[" * size,
            "(" * size,
            "a{" + ",".join(f'l{n}="v"' for n in range(size)) + "}",
            "a{" + 'l=~"(((' * size + '"}',
            'a{l=~"' + "(" * size + ")" * size + '"}',
            'a{l=~"' + "(a*)*" * size + '"}',
            "label_join(a, " + ", ".join(['"x"'] * size) + ")",
            "sum by (" + ", ".join(["x"] * size) + ") (a)",
            "a" + " offset 5m" * size,
            "a" + " @ 5" * size,
            '"' + "\\\\" * size,
            "#" * size,
            "1 " * size,
            "a" * size,
        ]
    return found
