"""Plays a test written as YAML text on rules written as YAML text."""

from __future__ import annotations

from bot.ruletests import rulefiles
from bot.ruletests.model import read
from bot.ruletests.play import Setting, play


def setting(test, rules="", *, experimental=False):
    suite = read(test, "t.yaml")
    groups = rulefiles.read(rules, "r.yaml", experimental=experimental)[0] if rules else ()
    return Setting(suite, groups, experimental)


def played(test, rules="", *, experimental=False):
    """The results of the groups of one file."""
    found = setting(test, rules, experimental=experimental)
    return [play(found, group) for group in found.suite.groups]


def verdicts(test, rules="", **keys):
    return [case.verdict for result in played(test, rules, **keys) for case in result.cases]


def got(test, rules=""):
    """What the cases of the only group gave."""
    (result,) = played(test, rules)
    assert not result.failures, result.failures
    return [[(sample.labels, sample.value) for sample in case.got] for case in result.cases]
