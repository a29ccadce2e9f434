# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What an upgrade does or did as a Markdown document, for a ticket or a review."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator, Mapping, Sequence

from .pages import METHODS, upgrade_in_words

Result = Mapping[str, t.Any]
Hop = Mapping[str, t.Any]
Found = Mapping[str, t.Any]


def upgrade_document(result: Result, failure: str) -> str:
    """The document of ``kubevirt_upgrade``'s result.

    Args:
        result: All but the texts for people.
        failure: Why the run was refused or stopped, of which the first line is told; empty when all is well.
    """
    return "\n".join(_lines(result, failure)) + "\n"


def _lines(result: Result, failure: str) -> Iterator[str]:
    path = result["path"]
    words = upgrade_in_words(result["from_version"], result["to_version"], arrived=not path)
    yield from (f"# Upgrade of KubeVirt: {words}", "")
    if failure:
        yield from (f"**{failure.splitlines()[0]}**", "")
    yield f"- Cluster: {result['cluster']['endpoint']} (uid {result['cluster']['uid']})"
    yield f"- State: {result['state']}"
    if path:
        yield from ("", "## Hops", "", *_table(path))
    yield from ("", "## Findings", "")
    if not path:
        yield from _findings(result["findings"])
    for number, hop in enumerate(path, 1):
        yield from _section(number, hop, hop["findings"] if hop["projected"] else result["findings"])
    if result["actions"]:
        yield from ("", "## Steps of the first hop" if len(path) > 1 else "## Steps", "")
        yield from (
            f"{n}. `{one['action']}` {one['object']} ({one['reason']})" for n, one in enumerate(result["actions"], 1)
        )
    if result["next"]:
        yield from ("", "## Next", "", "```sh", result["next"], "```")


def _table(path: Sequence[Hop]) -> Iterator[str]:
    yield "| | from | to | method | why | Kubernetes |"
    yield "|---|---|---|---|---|---|"
    for number, hop in enumerate(path, 1):
        cells = (str(number), hop["from"], hop["to"], METHODS[hop["method"]], hop["why"], hop["kubernetes"])
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _section(number: int, hop: Hop, findings: Sequence[Found]) -> Iterator[str]:
    if number > 1:
        yield ""
    yield from (f"### {number}. {hop['from']} -> {hop['to']}", "")
    if hop["projected"] and findings:
        yield from ("As it is now; the hops before this one may change it.", "")
    yield from _findings(findings)


def _findings(findings: Sequence[Found]) -> Iterator[str]:
    if not findings:
        yield "Nothing was found."
    for one in findings:
        name = f"[{one['id']}]({one['url']})" if one["url"] else f"`{one['id']}`"
        yield f"- **{one['level']}** {name}, {one['object']}: {one['cause']}"
        if one["evidence"]:
            yield f"  - Seen: {' '.join(one['evidence'].split())}"
        yield f"  - Do: {one['fix']}"
        if one["level"] == "blocker" and one["acceptable"]:
            yield f"  - Or go on all the same: `accept: [{one['id']}]`"
