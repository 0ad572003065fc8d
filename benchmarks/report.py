"""How a benchmark gives out what it found: on the screen, and into the page of docs/ that shows it, never by hand.

The page has a place for each benchmark, between `<!-- NAME -->` and `<!-- /NAME -->`.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from benchmarks.machine import describe, load

_OWN_OPTIONS = {"--into", "--place", "--json", "--keep", "--svg"}


class Report:
    """Made before the benchmark begins: it notes how quiet the machine is."""

    def __init__(self, name: str, minutes: float) -> None:
        self._name = name
        self._machine = describe()
        print(self._machine)
        print(f"running for about {minutes:.0f} min", file=sys.stderr)

    def give_out(self, text: str, options: argparse.Namespace) -> None:
        print(f"\n{text}\n\n{load()} afterwards")
        if options.into is not None:
            put(
                options.into,
                options.place or self._name,
                f"{text}\n\nBy `{command(self._name, sys.argv[1:])}` on {self._machine}.",
            )


def add_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--into", type=Path, metavar="PAGE", help="also put the result into its place on this page")
    parser.add_argument("--place", metavar="NAME", help="of the place, when it is not the benchmark's name")


def command(name: str, arguments: list[str]) -> str:
    """What to type for the same figures, without the options that only say where they go."""
    kept: list[str] = []
    skip = False
    for argument in arguments:
        option = argument.partition("=")[0]
        if not skip and option not in _OWN_OPTIONS:
            kept.append(argument)
        skip = option in _OWN_OPTIONS and option == argument and not skip
    return shlex.join(["python", "-m", f"benchmarks.{name}", *kept])


def put(page: Path, name: str, text: str) -> None:
    before, begin, rest = page.read_text().partition(f"<!-- {name} -->")
    _, end, after = rest.partition(f"<!-- /{name} -->")
    if not end:
        raise SystemExit(f"{page} has no place for this: <!-- {name} --> and <!-- /{name} -->")
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}")
