"""Every link of the documentation leads somewhere, every page is found from README.md, every test it names is there."""

from __future__ import annotations

import re  # noqa: TID251 - fixed patterns
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def links(page: Path) -> list[tuple[str, str]]:
    """File, or nothing for the page itself, and anchor of each link that stays here."""
    found = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    return [(link.partition("#")[0], link.partition("#")[2]) for link in found if not link.startswith("http")]


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings; the second of a name gets a number."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.strip().lower())
        name = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        found.add(name if name not in found else f"{name}-1")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    for file, anchor in links(page):
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), file
        assert not anchor or anchor in anchors(target), f"{file}#{anchor}"


def test_every_page_is_found_from_the_readme():
    named = {file.removeprefix("docs/") for file, _ in links(ROOT / "README.md") if file.startswith("docs/")}
    assert {page.name for page in (ROOT / "docs").glob("*.md")} <= named


def test_every_test_that_the_readme_names_is_there():
    named = re.findall(r"`(tests/[\w/]+\.py)`", (ROOT / "README.md").read_text())
    assert len(named) > 20
    assert [name for name in named if not (ROOT / name).is_file()] == []
