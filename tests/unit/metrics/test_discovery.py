import json

import pytest

from bot.errors import RemoteError
from bot.metrics.discovery import parse_list, read_files
from bot.metrics.spec import Group

GOOD = '[{"targets": ["a:1", "b:2"], "labels": {"team": "x"}}, {"targets": []}]'


def test_json_lists():
    assert parse_list(GOOD.encode(), "t.json") == (
        Group("t.json", ("a:1", "b:2"), {"team": "x"}),
        Group("t.json", (), {}),
    )


def test_yaml_lists_keep_scalars_as_text():
    text = b'- targets: [10.0.0.1:9101]\n  labels:\n    version: "1.10"\n    agent: refund\n'
    assert parse_list(text, "t.yaml") == (Group("t.yaml", ("10.0.0.1:9101",), {"version": "1.10", "agent": "refund"}),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Expecting value"),
        ("{}", "list"),
        ('[{"target": ["a:1"]}]', "target"),
        ('[{"targets": "a:1"}]', "targets"),
        ('[{"targets": ["a:1"], "labels": {"n": 1}}]', "labels.n"),
        ('[{"targets": ["a:1"], "labels": null}]', "labels"),
        ("[" * 100_000, "recursion"),
        ("- targets: [a:1]", "Expecting value"),
    ],
)
def test_a_broken_json_list_is_refused_with_the_place(text, words):
    with pytest.raises(RemoteError, match=words):
        parse_list(text.encode(), "http://sd")


@pytest.mark.parametrize("text", [b"- targets: [a:1", b"- targets: [a:1]\n  targets: [b:1]\n", b"\xff", b"a: b: c"])
def test_a_broken_yaml_list_is_refused(text):
    with pytest.raises(RemoteError):
        parse_list(text, "t.yml")


def test_files_are_found_by_pattern_and_a_broken_one_keeps_its_last_good_list(tmp_path):
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "a.json").write_text(GOOD)
    (tmp_path / "targets" / "b.yaml").write_text("- targets: [c:3]\n")
    (tmp_path / "targets" / "ignored.txt").write_text("x")
    patterns = ("targets/*.json", "targets/*.yaml", "targets/none-*.yml")
    first = read_files(tmp_path, patterns, {})
    assert {name: len(source.groups) for name, source in first.items()} == {"targets/a.json": 2, "targets/b.yaml": 1}

    (tmp_path / "targets" / "a.json").write_text(json.dumps([{"targets": 7}]))
    (tmp_path / "targets" / "b.yaml").unlink()
    second = read_files(tmp_path, patterns, first)
    assert second["targets/a.json"].groups == first["targets/a.json"].groups
    assert "targets" in second["targets/a.json"].problem
    assert "targets/b.yaml" not in second


def test_a_broken_file_that_was_never_good_has_no_targets(tmp_path):
    (tmp_path / "a.json").write_text("nonsense")
    source = read_files(tmp_path, ("*.json",), {})["a.json"]
    assert (source.groups, bool(source.problem)) == ((), True)


def test_absolute_patterns(tmp_path):
    (tmp_path / "a.json").write_text(GOOD)
    (tmp_path / "conf").mkdir()
    assert list(read_files(tmp_path / "conf", (str(tmp_path / "*.json"),), {})) == [str(tmp_path / "a.json")]
