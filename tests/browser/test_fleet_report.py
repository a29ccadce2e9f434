# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report on a fleet in a real browser, on a phone and on a desk."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.fleet_report import run

from tests.support.browser import Page, chromium

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / "build/fleet-report"
SIZES = {"phone": (360, 740), "desk": (1280, 800)}
OUTCOMES = yaml.safe_load((ROOT / "tests/unit/fixtures/fleet-outcomes.yml").read_text())

each_size = pytest.mark.parametrize("size", SIZES)


def report(dest: Path, hosts: dict[str, Any]) -> Path:
    params = {"hosts": hosts, "dest": str(dest), "title": "KubeVirt v1.8.4 on all clusters"}
    done = run(params, check_mode=False, now=datetime(2026, 1, 31, 2, 15, tzinfo=timezone.utc))
    assert done.get("failed") is None, done
    return dest / "report.html"


def many(number: int) -> dict[str, Any]:
    """A fleet of the same outcomes again and again."""
    outcomes = list(OUTCOMES.values())
    return {f"cluster-{n}": {**outcomes[n % len(outcomes)], "wave": 1 + n // 50} for n in range(number)}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture(params=["six", "two hundred"])
def hosts(request: pytest.FixtureRequest) -> dict[str, Any]:
    return OUTCOMES if request.param == "six" else many(200)


@each_size
def test_the_report_is_readable_without_anything_from_outside(
    page: Page, hosts: dict[str, Any], size: str, tmp_path: Path
) -> None:
    file = report(tmp_path / "report", hosts)
    width, height = SIZES[size]
    page.open(file, width=width, height=height)

    page.screenshot(SCREENSHOTS / f"{size}-{len(hosts)}.png", whole=len(hosts) < 10)
    assert page.requests == [file.as_uri()]
    assert page.complaints == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wide = f"[...document.body.querySelectorAll('*')].filter(e => e.getBoundingClientRect().right > {width})"
    assert page.evaluate(f"{wide}.map(e => e.outerHTML.slice(0, 200))") == []

    text = page.evaluate("document.body.innerText")
    failing = OUTCOMES["berlin-2"]["findings"][0]
    assert failing["cause"] in text
    assert failing["fix"] in text
    assert "hunter22" not in text
    assert all(host in text for host in hosts)


@each_size
def test_a_hostile_report_does_not_run(page: Page, size: str, tmp_path: Path) -> None:
    attack = "<script>window.ran=1</script><img src=x onerror=window.ran=1>\"'><svg onload=window.ran=1>"
    finding = dict.fromkeys(("id", "level", "object", "cause", "evidence", "fix"), attack)
    finding["url"] = "javascript:window.ran=1"
    outcome = {"state": "failed", "findings": [finding], "message": attack, "wave": attack, "owner": attack}
    outcome["phases"] = [{"name": attack, "seconds": 3}]
    file = report(tmp_path / "report", {attack: outcome})
    width, height = SIZES[size]
    page.open(file, width=width, height=height)

    assert page.evaluate("window.ran") is None
    assert page.evaluate("document.querySelectorAll('script, img, svg, [href^=javascript]').length") == 0
    assert attack in page.evaluate("document.body.innerText")
    assert page.complaints == []
    assert page.requests == [file.as_uri()]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_colours_follow_what_the_reader_prefers(page: Page, dark: bool, tmp_path: Path) -> None:
    page.open(report(tmp_path / "report", OUTCOMES), width=1280, height=800, dark=dark)
    page.screenshot(SCREENSHOTS / f"{'dark' if dark else 'light'}.png")
    page_colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    text_colour = page.evaluate("getComputedStyle(document.body).color")
    lightness = [sum(map(int, colour[4:-1].split(","))) for colour in (page_colour, text_colour)]
    assert (lightness[0] < lightness[1]) is dark
