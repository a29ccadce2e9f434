# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pages of the documentation, and what stands in them: blocks, spans of code, commands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.support.lab import ROOT

PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in (
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "roles").glob("*/README.md"),
        ROOT / "tests/lab/README.md",
    )
    if path.name not in ("CHANGELOG.md", "CONTRIBUTING.md")
}
"""The text of every page by its path. antsibull-changelog makes the changelog; what CONTRIBUTING.md has as examples is not there."""

_BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+(?:\n[^`\n]+)?)`")


@dataclass(frozen=True)
class Block:
    """One block of code. ``line`` is where it begins."""

    page: str
    line: int
    language: str
    text: str


def blocks(language: str, pages: Mapping[str, str] = PAGES) -> Iterator[Block]:
    """All blocks of a language; "" stands for those without one, which show output."""
    for page, text in sorted(pages.items()):
        for match in _BLOCK.finditer(text):
            if match["language"] == language:
                dedented = re.sub(rf"^{match['indent']}", "", match["text"], flags=re.MULTILINE)
                yield Block(page, text.count("\n", 0, match.start()) + 1, language, dedented)


def prose(text: str) -> str:
    """A page without its blocks."""
    return _BLOCK.sub("", text)


def spans(text: str) -> list[str]:
    """What a page has between backticks in its prose, in one line each."""
    return [" ".join(span.split()) for span in _SPAN.findall(prose(text))]


def commands(program: str) -> Iterator[tuple[str, str]]:
    """Every command of that program, in a block or in the prose, with its page; lines that are continued as one."""
    for page, text in sorted(PAGES.items()):
        shell = blocks("sh", {page: text})
        lines = [line for block in shell for line in re.sub(r"\\\n\s*", "", block.text).splitlines()]
        for command in (*lines, *spans(text)):
            yield from (
                (page, part.strip()) for part in command.split(" && ") if part.strip().startswith(f"{program} ")
            )
