# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pages of modules, roles and filters that tools/docs.sh builds, in a real browser."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
import yaml

from tests.support.browser import Page, chromium

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "build/docs/html"
SCREENSHOTS = ROOT / "build/docs/screenshots"
MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py"))
ROLES = sorted(path.parents[1].name for path in ROOT.glob("roles/*/tasks/main.yml"))
ADDRESSES = "[...document.querySelectorAll('[href], [src]')].map(e => e.href || e.src)"
PLACES = "[...document.querySelectorAll('[id], a[name]')].map(e => e.id || e.name)"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("profile")) as page:
        yield page


def look(page: Page, name: str) -> None:
    page.open(PAGES / f"{name}.html", width=1280, height=800)


def options_of_module(name: str) -> list[str]:
    tree = ast.parse((ROOT / f"plugins/modules/{name}.py").read_text())
    [text] = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and [getattr(one, "id", "") for one in node.targets] == ["DOCUMENTATION"]
    ]
    return [*yaml.safe_load(text)["options"]]


def options_of_role(name: str) -> list[str]:
    specs = yaml.safe_load((ROOT / f"roles/{name}/meta/argument_specs.yml").read_text())["argument_specs"]
    return [option for spec in specs.values() for option in spec.get("options", {})]


@pytest.mark.parametrize("name", [*(f"{one}_module" for one in MODULES), *(f"{one}_role" for one in ROLES)])
def test_a_page_tells_of_every_option(page: Page, name: str) -> None:
    thing, _bar, sort = name.rpartition("_")
    look(page, name)
    page.screenshot(SCREENSHOTS / f"{name}.png")

    assert page.evaluate("document.querySelector('h1').innerText").startswith(f"kubevirt.lifecycle.{thing} ")
    options = options_of_module(thing) if sort == "module" else options_of_role(thing)
    shown = page.evaluate("[...document.querySelectorAll('.ansible-option-title')].map(e => e.innerText.trim())")
    assert options and [one for one in options if one not in shown] == []


def test_the_first_page_leads_to_each_of_them(page: Page) -> None:
    look(page, "index")
    page.screenshot(SCREENSHOTS / "index.png", whole=True)
    leads_to = {Path(urlparse(address).path).stem for address in page.evaluate(ADDRESSES)}
    assert {f"{one}_module" for one in MODULES} | {f"{one}_role" for one in ROLES} <= leads_to


def test_nothing_is_broken_and_nothing_comes_from_outside(page: Page) -> None:
    places: dict[Path, set[str]] = {}
    addresses: dict[str, list[str]] = {}
    for file in sorted(PAGES.glob("*.html")):
        look(page, file.stem)
        places[file] = set(page.evaluate(PLACES))
        addresses[file.name] = page.evaluate(ADDRESSES)
        assert [one for one in page.requests if not one.startswith("file:")] == [], file.name
        assert page.complaints == [], file.name

    broken = []
    for name, found in addresses.items():
        for address in found:
            parts = urlparse(address)
            target = Path(unquote(parts.path))
            if parts.scheme == "file" and not (
                target.is_file() and (not parts.fragment or unquote(parts.fragment) in places[target])
            ):
                broken.append(f"{name}: {address}")
    assert broken == []
    assert len(addresses) > len(MODULES) + len(ROLES)
