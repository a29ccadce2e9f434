# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What became of a fleet as one HTML page: no script, no other file, nothing from the network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

from ..knowledge.fleet_outcomes import WELL, Cluster, Fleet, Found, Note, duration, is_web_address
from .outcome import listed

WORDS = {
    "failed": ("✕", "failed"),
    "unknown": ("?", "unknown"),
    "not-begun": ("○", "not begun"),
    "deferred": ("◷", "deferred"),
    "done": ("✓", "done"),
    "unchanged": ("=", "unchanged"),
}
"""A sign and a word for each state, so that nobody needs its colour."""
COLOURS = 8
"""How many colours there are for phases; more phases begin again with the first."""


class Html(str):
    """Text that is HTML already. All other text is escaped where it is put into an element."""


def tag(name: str, *content: str, **attributes: str) -> Html:
    """An element; an attribute's name may end in ``_`` where Python needs that, and ``_`` in it stands for ``-``."""
    told = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{told}>{joined(*content)}</{name}>")


def joined(*content: str) -> Html:
    """Elements and text one after the other."""
    return Html("".join(one if isinstance(one, Html) else escape(one) for one in content if one))


def fleet_page(fleet: Fleet, generated_at: str) -> str:
    """The page.

    Args:
        fleet: What became of it.
        generated_at: When the report was made, as text.
    """
    anchors = {one.host: f"failure-{number}" for number, one in enumerate(fleet.failures, 1)}
    body = tag(
        "main",
        _header(fleet, generated_at),
        *_section("Failures", [_failure(one, anchors[one.host]) for one in fleet.failures]),
        *_section("Clusters", [_table(fleet, anchors)] if fleet.clusters else []),
        *_section("Also found", [_note(note) for note in fleet.notes]),
    )
    return PAGE.format(title=escape(fleet.title), style=STYLE, body=body)


def _section(title: str, content: list[Html]) -> Iterator[Html]:
    if content:
        yield tag("section", tag("h2", title), *content)


def _header(fleet: Fleet, generated_at: str) -> Html:
    states = {state: number for state, number in fleet.states.items() if number}
    tone = "failed" if fleet.failures else "done" if all(state in WELL for state in states) else "deferred"
    shares = [tag("span", class_=state, style=f"flex:{number}") for state, number in states.items()]
    tiles = [
        _tile(str(number), joined(tag("i", WORDS[state][0], aria_hidden="true"), WORDS[state][1]), state)
        for state, number in states.items()
    ]
    if any(one.moved is not None or one.left is not None for one in fleet.clusters):
        tiles += [_tile(str(number), f"VMs {word}", "vms") for word, number in fleet.vms.items()]
    return tag(
        "header",
        tag("h1", fleet.title),
        tag("p", fleet.verdict, class_=f"verdict {tone}"),
        tag("p", "Made at ", tag("time", generated_at, datetime=generated_at), class_="muted"),
        tag("div", *shares, class_="shares", aria_hidden="true"),
        tag("dl", *tiles, class_="tiles"),
    )


def _tile(number: str, words: str, state: str) -> Html:
    return tag("div", tag("dt", words), tag("dd", number), class_=state)


def _failure(one: Cluster, anchor: str) -> Html:
    facts = {
        "Version": _version(one),
        "Wave": one.wave,
        "Owner": one.owner,
        "Stopped in": one.phases[-1].name if one.phases else "",
        "After": "" if one.elapsed is None else duration(one.elapsed),
        "Cluster": one.endpoint,
        "UID": one.uid,
    }
    told = [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items() if value]
    message = tag("pre", one.message) if one.message else Html()
    if one.message and one.causes:
        message = tag("details", tag("summary", "The whole message"), message)
    return tag(
        "article",
        tag("h3", one.host),
        tag("dl", *told, class_="facts"),
        *(_cause(found) for found in one.causes),
        message or ("" if one.causes else tag("p", "Nothing is known about the cause.", class_="muted")),
        class_="card failure",
        id=anchor,
    )


def _cause(found: Found) -> Html:
    return tag(
        "div",
        tag("p", tag("strong", found.object), " " if found.object else "", found.cause, class_="cause"),
        tag("p", tag("b", "Seen"), found.evidence, class_="seen") if found.evidence else "",
        tag("p", tag("b", "Do"), found.fix, class_="fix") if found.fix else "",
        tag("p", _name(found), class_="muted"),
        class_="finding",
    )


def _note(note: Note) -> Html:
    number = f"{len(note.hosts)} cluster{'s' if len(note.hosts) != 1 else ''}"
    return tag(
        "article",
        tag("p", tag("span", note.found.level, class_=f"level {_level(note.found)}"), note.found.cause, class_="cause"),
        tag("p", tag("b", "Do"), note.found.fix, class_="fix") if note.found.fix else "",
        tag("p", _name(note.found), f" on {number}: {listed(note.hosts)}", class_="muted"),
        class_="card",
    )


def _name(found: Found) -> Html:
    """The finding's id; it leads to its page where that is an address on the web."""
    if is_web_address(found.url):
        return tag("a", found.id or found.url, href=found.url, rel="noreferrer")
    return joined(found.id)


def _level(found: Found) -> str:
    return found.level if found.level in ("blocker", "warning") else "info"


def _table(fleet: Fleet, anchors: Mapping[str, str]) -> Html:
    """Rows become cards on a phone, by style; the roles keep it a table for who does not see it."""
    names = list(dict.fromkeys(phase.name for one in fleet.clusters for phase in one.phases))
    colours = {name: f"phase-{number % COLOURS}" for number, name in enumerate(names)}
    longest = max((one.seconds for one in fleet.clusters), default=0.0)
    heads = ("Cluster", "State", "Version", "VMs", "Time", "Phases")
    bodies = []
    for wave, clusters in fleet.waves.items():
        rows = [_wave(wave, clusters, len(heads))] if any(fleet.waves) else []
        rows += [_row(one, anchors, colours, longest) for one in clusters]
        bodies.append(tag("tbody", *rows, role="rowgroup"))
    head = tag("tr", *(tag("th", name, scope="col", role="columnheader") for name in heads), role="row")
    return tag("table", tag("thead", head, role="rowgroup"), *bodies, role="table", class_="card")


def _wave(wave: str, clusters: list[Cluster], columns: int) -> Html:
    failed = sum(one.state == "failed" for one in clusters)
    words = [f"Wave {wave}" if wave else "No wave", f"{len(clusters)} cluster{'s' if len(clusters) != 1 else ''}"]
    words += [f"{failed} failed"] if failed else []
    cell = tag("th", " · ".join(words), scope="rowgroup", colspan=str(columns), role="rowheader")
    return tag("tr", cell, role="row", class_="wave")


def _row(one: Cluster, anchors: Mapping[str, str], colours: Mapping[str, str], longest: float) -> Html:
    sign, word = WORDS[one.state]
    state = tag("span", tag("i", sign, aria_hidden="true"), word, class_=f"pill {one.state}")
    if one.host in anchors:
        state = tag("a", state, href=f"#{anchors[one.host]}", title="Why it failed")
    told = one.message if one.state != "failed" else one.causes[0].cause if one.causes else one.message
    cells = {
        "state": joined(state, tag("small", told.splitlines()[0]) if told else ""),
        "version": _version(one),
        "vms": _vms(one),
        "time": "" if one.elapsed is None else duration(one.elapsed),
        "phases": _bar(one, colours, longest),
    }
    host = joined(one.host, *(tag("small", words) for words in (one.endpoint, one.owner) if words))
    return tag(
        "tr",
        tag("th", host, scope="row", role="rowheader"),
        *(tag("td", content, class_=name, role="cell") for name, content in cells.items()),
        role="row",
    )


def _bar(one: Cluster, colours: Mapping[str, str], longest: float) -> Html:
    """Its phases on the scale of the longest run; where it failed, the last one is marked."""
    if not one.seconds:
        return Html()
    last = len(one.phases) - 1 if one.state == "failed" else None
    parts, names = [], []
    for number, phase in enumerate(one.phases):
        words, colour = f"{phase.name} {duration(phase.seconds)}", colours[phase.name]
        if number == last:
            words, colour = f"{words} (stopped)", f"{colour} stopped"
        parts.append(tag("span", class_=colour, style=f"flex:{phase.seconds:g}", title=words))
        names.append(tag("li", tag("i", class_=colour), words))
    width = f"width:{100 * one.seconds / longest:.1f}%"
    return joined(tag("div", tag("div", *parts, style=width), class_="bar", aria_hidden="true"), tag("ul", *names))


def _version(one: Cluster) -> str:
    if one.from_version and one.to_version and one.from_version != one.to_version:
        return f"{one.from_version} → {one.to_version}"
    return one.to_version or one.from_version


def _vms(one: Cluster) -> Html:
    told = [f"{number} {word}" for word, number in (("moved", one.moved), ("left", one.left)) if number is not None]
    return joined(*(tag("span", words) for words in told))


PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
{body}
</body>
</html>
"""

STYLE = """\
:root {
  color-scheme: light dark;
  --page: #f4f6f8; --card: #fff; --text: #1a2330; --muted: #5a6675; --line: #e0e5ea; --soft: #f0f3f6;
  --failed: #c0262d; --unknown: #7b3fa0; --not-begun: #65717f; --deferred: #8f5f00; --done: #1b7a48; --unchanged: #2765b0;
  --vms: var(--text); --blocker: var(--failed); --warning: var(--deferred); --info: var(--unchanged);
  --phase-0: #4c78a8; --phase-1: #59a89c; --phase-2: #e0a030; --phase-3: #9a78b0;
  --phase-4: #7fa84f; --phase-5: #a0785a; --phase-6: #5fa8d3; --phase-7: #c786a8;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #10151b; --card: #1a2129; --text: #e5eaf0; --muted: #9ca8b5; --line: #2d3742; --soft: #232c36;
    --failed: #ff7b7b; --unknown: #c9a0f0; --not-begun: #98a3af; --deferred: #e3b54a; --done: #55c98a; --unchanged: #78b4f5;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--text); overflow-wrap: anywhere;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 76rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1, h2, h3, p, dl, dd, ul { margin: 0; padding: 0; }
h1 { font-size: 1rem; font-weight: 600; color: var(--muted); }
h2 { font-size: 1.15rem; margin: 2.25rem 0 .75rem; }
h3 { font-size: 1.1rem; }
a { color: inherit; text-underline-offset: .15em; }
i { font-style: normal; }
small { display: block; font-size: .8rem; font-weight: 400; color: var(--muted); }
.muted { color: var(--muted); font-size: .85rem; }
.verdict { font-size: clamp(1.5rem, 5vw, 2.25rem); font-weight: 700; line-height: 1.2; margin: .15rem 0 .35rem; color: var(--tone); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; }
.failed { --tone: var(--failed); } .unknown { --tone: var(--unknown); } .not-begun { --tone: var(--not-begun); }
.deferred { --tone: var(--deferred); } .done { --tone: var(--done); } .unchanged { --tone: var(--unchanged); }
.vms { --tone: var(--vms); } .blocker { --tone: var(--blocker); } .warning { --tone: var(--warning); } .info { --tone: var(--info); }

.shares { display: flex; gap: 2px; height: .6rem; margin: 1.25rem 0 1rem; border-radius: .3rem; overflow: hidden; }
.shares span { background: var(--tone); min-width: 4px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(7rem, 1fr)); gap: .6rem; }
.tiles div {
  display: flex; flex-direction: column-reverse; padding: .6rem .9rem; background: var(--card);
  border: 1px solid var(--line); border-radius: .75rem;
}
.tiles dd { font-size: 1.6rem; font-weight: 700; line-height: 1.2; color: var(--tone); font-variant-numeric: tabular-nums; }
.tiles dt { font-size: .85rem; color: var(--muted); }
.tiles i { margin-right: .35em; color: var(--tone); }

article { padding: 1rem 1.25rem; margin-bottom: .75rem; }
.failure { border-left: .35rem solid var(--failed); }
.facts { display: flex; flex-wrap: wrap; gap: .1rem 1.5rem; margin: .25rem 0 .5rem; font-size: .85rem; }
.facts div { display: flex; gap: .4em; }
.facts dt { flex: none; color: var(--muted); }
.finding { padding-top: .75rem; margin-top: .75rem; border-top: 1px solid var(--line); }
.cause strong::after { content: ":"; }
.seen, .fix { margin: .5rem 0; white-space: pre-wrap; }
.seen { font-size: .9rem; color: var(--muted); }
.fix { padding: .6rem .9rem; background: var(--soft); border-radius: .5rem; }
.seen b, .fix b { margin-right: .6em; color: var(--text); }
.level {
  margin-right: .6em; padding: .1rem .5rem; border: 1px solid var(--tone); border-radius: 1rem;
  font-size: .75rem; font-weight: 600; color: var(--tone);
}
details { margin-top: .5rem; }
summary { cursor: pointer; font-size: .85rem; color: var(--muted); }
pre { margin: .5rem 0 0; white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85rem; }

table { width: 100%; border-collapse: separate; border-spacing: 0; overflow: hidden; }
th, td { padding: .65rem .75rem; text-align: left; vertical-align: top; border-top: 1px solid var(--line); }
thead th { border: 0; font-size: .8rem; font-weight: 600; color: var(--muted); }
tbody th { width: 22%; font-weight: 600; }
.wave th { padding-block: .4rem; background: var(--soft); font-size: .8rem; color: var(--muted); }
td { font-variant-numeric: tabular-nums; }
.pill { color: var(--tone); font-weight: 600; white-space: nowrap; }
.pill i { display: inline-block; width: 1.3em; }
.version, .time { white-space: nowrap; }
.vms span { display: block; white-space: nowrap; }
.phases { width: 30%; }
.bar { height: .75rem; margin-top: .35rem; border-radius: .375rem; background: var(--soft); overflow: hidden; }
.bar div { display: flex; gap: 1px; height: 100%; }
.bar span { min-width: 2px; background: var(--phase); }
.phases ul { display: flex; flex-wrap: wrap; gap: 0 .9rem; margin-top: .3rem; list-style: none; font-size: .8rem; color: var(--muted); }
.phases i { display: inline-block; width: .6rem; height: .6rem; margin-right: .35rem; border-radius: .15rem; background: var(--phase); }
.phase-0 { --phase: var(--phase-0); } .phase-1 { --phase: var(--phase-1); }
.phase-2 { --phase: var(--phase-2); } .phase-3 { --phase: var(--phase-3); }
.phase-4 { --phase: var(--phase-4); } .phase-5 { --phase: var(--phase-5); }
.phase-6 { --phase: var(--phase-6); } .phase-7 { --phase: var(--phase-7); }
.stopped { --phase: repeating-linear-gradient(135deg, var(--failed) 0 4px, transparent 4px 6px); }

@media (max-width: 50rem) {
  .tiles { grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); }
  .tiles div { flex-direction: row-reverse; justify-content: flex-end; align-items: baseline; gap: .5em; padding: .3rem .6rem; }
  .tiles dd { flex: none; font-size: 1.25rem; }
  .tiles dt { font-size: .8rem; overflow-wrap: normal; }
  table, tbody { display: block; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  tr { display: flex; flex-wrap: wrap; gap: .2rem 1rem; padding: .8rem 1rem; border-top: 1px solid var(--line); }
  th, td { padding: 0; border: 0; }
  td:empty { display: none; }
  tbody th { flex: 1 1 50%; width: auto; }
  td.state { display: contents; }
  .state small { flex: 1 1 100%; }
  .phases { width: auto; flex: 1 1 100%; }
  .wave { padding: .4rem 1rem; background: var(--soft); }
  .wave th { padding: 0; }
  .vms span { display: inline; margin-right: .6em; }
  td.version, td.vms, td.time { font-size: .85rem; }
  article { padding: .9rem 1rem; }
}
"""
