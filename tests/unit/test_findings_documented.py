# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every finding has its page and its line in the list, and these say the same as the catalogue."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.findings import CATALOGUE, DOCS, Kind

PAGES = Path(__file__).resolve().parents[2] / "docs/findings"
SECTIONS = ["What it means", "Why it matters", "Check by hand", "What to do"]
LINK = re.compile(r"\]\(([^)#\s]+\.md)[^)]*\)")

each_id = pytest.mark.parametrize("id", sorted(CATALOGUE))


def sections(text: str) -> dict[str, str]:
    """The text of each section by its heading; comments in code blocks are no headings."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def listed() -> dict[str, Kind]:
    """The table of README.md."""
    found = {}
    for line in (PAGES / "README.md").read_text().splitlines():
        if line.startswith("| ["):
            link, level, acceptable, summary = (cell.strip() for cell in line.strip("|").split(" | "))
            match = re.fullmatch(r"\[(.+)\]\((.+)\.md\)", link)
            assert match and match[1] == match[2], f"{link} leads elsewhere"
            assert match[1] not in found, f"{match[1]} is there twice"
            assert level in ("info", "warning", "blocker") and acceptable in ("yes", "no"), line
            found[match[1]] = Kind(level, acceptable == "yes", summary)  # type: ignore[arg-type]
    return found


@each_id
def test_a_page_has_its_title_and_the_four_sections_with_text(id: str) -> None:
    text = (PAGES / f"{id}.md").read_text()
    assert text.startswith(f"# {id}\n")
    assert list(sections(text)) == SECTIONS
    assert [heading for heading, content in sections(text).items() if not content.strip()] == []


@each_id
def test_a_page_shows_commands_to_check(id: str) -> None:
    assert "```sh\n" in sections((PAGES / f"{id}.md").read_text())["Check by hand"]


@each_id
def test_a_page_says_whether_a_blocker_can_be_accepted(id: str) -> None:
    words = " ".join(sections((PAGES / f"{id}.md").read_text())["What to do"].split())
    kind = CATALOGUE[id]
    if kind.acceptable and kind.level == "blocker":
        assert f"kubevirt_accept: [{id}]" in words
    elif kind.acceptable:
        assert "stops nothing" in words
    else:
        assert "cannot be accepted" in words
        assert "kubevirt_accept" not in words


def test_the_list_says_what_the_catalogue_says() -> None:
    assert listed() == CATALOGUE


def test_there_is_no_page_without_a_finding() -> None:
    assert {path.stem for path in PAGES.iterdir()} - {"README"} == set(CATALOGUE)


@pytest.mark.parametrize("page", sorted(path.name for path in PAGES.glob("*.md")))
def test_links_to_other_pages_lead_to_pages(page: str) -> None:
    links = [link for link in LINK.findall((PAGES / page).read_text()) if "://" not in link]
    assert [link for link in links if not (PAGES / link).is_file()] == []


def test_the_url_of_a_finding_leads_to_the_folder_of_the_pages() -> None:
    assert DOCS.endswith("/docs/findings")
