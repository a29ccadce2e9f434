# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A releases file adds to what is known or narrows it; a wrong one is one sentence with the line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge import releases_file, user_file
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.paths import path_between
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.releases import KNOWN, Releases
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.user_file import UserFileError
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.knowledge.versions import Version

from tests.support.bomb import ITEMS

PAGE = (Path(__file__).resolve().parents[3] / "docs/releases.md").read_text()

NEW_MINOR = """
add: [v1.10.1, 1.10.0]
kubernetes:
  1.10: {min: 1.35, max: 1.37}
"""


def v(text: str) -> Version:
    return Version.parse(text)


def parsed(text: str) -> Releases:
    return releases_file.parse(text, "releases.yml")


def available(releases: Releases, minor: str) -> list[str]:
    release = releases.release_of(v(f"{minor}.0"))
    assert release is not None
    return [str(version) for version in release.versions]


def way(releases: Releases, running: str, wanted: str) -> list[str]:
    return [str(hop.to_version) for hop in path_between(v(running), v(wanted), releases, kubernetes=None)]


def test_a_new_minor() -> None:
    releases = parsed(NEW_MINOR)
    assert available(releases, "1.10") == ["v1.10.0", "v1.10.1"]
    assert str(releases.kubernetes_of(v("v1.10.0"))) == "1.35 to 1.37"
    assert [release.minor for release in releases.minors[-2:]] == ["1.9", "1.10"]
    assert releases.minors[:-1] == KNOWN.minors
    assert not releases.closed


def test_yaml_and_json_say_the_same() -> None:
    text = '{\n\t"add": ["v1.10.1", "1.10.0"],\n\t"kubernetes": {"1.10": {"min": "1.35", "max": "1.37"}}\n}'
    assert json.loads(text)
    assert parsed(text) == parsed(NEW_MINOR)


def test_a_new_patch() -> None:
    releases = parsed("add: [v1.8.5]")
    release = releases.release_of(v("v1.8.0"))
    assert release and str(release.latest) == "v1.8.5"
    assert available(releases, "1.8") == [*available(KNOWN, "1.8"), "v1.8.5"]


def test_what_is_known_already_changes_nothing() -> None:
    assert parsed("add: [v1.8.2, v1.8.2]") == KNOWN
    assert parsed("{}") == KNOWN


def test_a_mirror() -> None:
    releases = parsed("only: [v1.8.1, v1.7.2]")
    assert releases.closed
    assert [str(one) for release in releases.minors for one in release.versions] == ["v1.7.2", "v1.8.1"]
    assert [release.kubernetes for release in releases.minors] == [release.kubernetes for release in KNOWN.minors]


def test_a_mirror_with_a_new_minor() -> None:
    releases = parsed(NEW_MINOR.replace("add", "only"))
    assert available(releases, "1.10") == ["v1.10.0", "v1.10.1"]
    assert available(releases, "1.9") == []


def test_other_kubernetes_versions_for_a_known_minor() -> None:
    releases = parsed("kubernetes:\n  1.8: {min: 1.32, max: 1.35}")
    assert str(releases.kubernetes_of(v("v1.8.0"))) == "1.32 to 1.35"
    assert available(releases, "1.8") == available(KNOWN, "1.8")


def test_kubernetes_versions_of_a_minor_that_nothing_can_be_had_of() -> None:
    releases = parsed("kubernetes:\n  1.10: {min: 1.35, max: 1.37}")
    assert available(releases, "1.10") == []
    assert releases.latest_patch(v("v1.10.3")) is None


def test_a_withdrawn_release() -> None:
    releases = parsed("withdrawn:\n  v1.8.4: It loses disks.")
    assert str(releases.latest_patch(v("v1.8.0"))) == "v1.8.3"
    assert releases.withdrawn == {**KNOWN.withdrawn, "v1.8.4": "It loses disks."}
    assert not releases.offers(v("v1.8.4"))


@pytest.mark.parametrize("key", ["add", "only"])
def test_a_release_that_is_named_and_withdrawn_cannot_be_had(key: str) -> None:
    assert not parsed(f"{key}: [v0.47.0, v0.47.1]").lists(v("v0.47.0"))
    assert available(parsed(f"{key}: [v0.47.0, v0.47.1]"), "0.47") == ["v0.47.1"]


A_VERSION = "expected a version of KubeVirt from 0.17 on, such as v1.10.0"
ENDS = "expected min and max, such as {min: 1.35, max: 1.37}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": expected a mapping with add, only, kubernetes or withdrawn; found nothing."),
        ("# nothing\n", ": expected a mapping with add, only, kubernetes or withdrawn; found nothing."),
        ("- v1.8.4", ", line 1: expected a mapping with add, only, kubernetes or withdrawn; found a list."),
        ("\nv1.8.4", ", line 2: expected a mapping with add, only, kubernetes or withdrawn; found 'v1.8.4'."),
        ("add: [v1.8.5]\nremove: []", ", line 2: expected add, only, kubernetes or withdrawn; found 'remove'."),
        (
            "kubernets: {}",
            ", line 1: expected add, only, kubernetes or withdrawn; found 'kubernets' (did you mean kubernetes?).",
        ),
        ("? [add]\n: [v1.8.5]", ", line 1: expected add, only, kubernetes or withdrawn; found a list."),
        ("add: [v1.8.5]\nadd: [v1.8.6]", ", line 2: expected each key once; found 'add' a second time."),
        (
            "add: [v1.8.5]\nonly:\n  - v1.8.4",
            ", line 3: expected either add (to what is known) or only (nothing but these); found both.",
        ),
        ("add:", ", line 1: expected a list of versions such as [v1.8.4, v1.9.0]; found nothing."),
        ("only: []", ", line 1: expected a list of versions such as [v1.8.4, v1.9.0]; found an empty list."),
        ("add: v1.8.5", ", line 1: expected a list of versions such as [v1.8.4, v1.9.0]; found 'v1.8.5'."),
        ("add:\n  - v1.8.5\n  - 1.10", f", line 3: {A_VERSION}; found '1.10'."),
        ("add:\n  - latest", f", line 2: {A_VERSION}; found 'latest'."),
        ("add:\n  - v0.16.3", f", line 2: {A_VERSION}; found 'v0.16.3'."),
        ("add:\n  - version: v1.8.5", f", line 2: {A_VERSION}; found a mapping."),
        ("add: &all\n  - *all", f", line 1: {A_VERSION}; found a list."),
        (
            "only:\n  - v1.9.0\n  - v1.10.0",
            ", line 3: expected the Kubernetes versions of 1.10 under kubernetes, such as 1.10: {min: 1.35, max: 1.37}; "
            "found 'v1.10.0'.",
        ),
        (
            "kubernetes: 1.35",
            ", line 1: expected a mapping such as 1.10: {min: 1.35, max: 1.37}; found '1.35'.",
        ),
        (
            "kubernetes:\n  v1.10.0: {min: 1.35, max: 1.37}",
            ", line 2: expected a minor release of KubeVirt from 0.17 on, such as 1.10; found 'v1.10.0'.",
        ),
        (
            "kubernetes:\n  0.16: {min: 1.10, max: 1.13}",
            ", line 2: expected a minor release of KubeVirt from 0.17 on, such as 1.10; found '0.16'.",
        ),
        (
            "kubernetes:\n  1.10: {min: 1.35, max: 1.37}\n  v1.10: {min: 1.35, max: 1.37}",
            ", line 3: expected each key once; found 'v1.10' a second time.",
        ),
        ("kubernetes:\n  1.10: 1.35-1.37", f", line 2: {ENDS}; found '1.35-1.37'."),
        ("kubernetes:\n  1.10: {min: 1.35}", f", line 2: {ENDS}; found only min."),
        ("kubernetes:\n  1.10: {}", f", line 2: {ENDS}; found neither."),
        ("kubernetes:\n  1.10: {from: 1.35}", ", line 2: expected min or max; found 'from'."),
        (
            "kubernetes:\n  1.10:\n    min: 1.35\n    max: new",
            ", line 4: expected a Kubernetes version such as 1.35; found 'new'.",
        ),
        (
            "kubernetes:\n  1.10:\n    min: 1.9\n    max: 1.10\n  1.11:\n    min: 1.35\n    max: 1.9",
            ", line 7: expected a max that is not before the min 1.35; found '1.9'.",
        ),
        (
            "withdrawn: [v1.8.4]",
            ", line 1: expected a mapping such as v1.10.0: It loses disks, v1.10.1 mends that.; found a list.",
        ),
        ("withdrawn:\n  1.10: bad", f", line 2: {A_VERSION}; found '1.10'."),
        ("withdrawn:\n  v1.8.4:", ", line 2: expected the reason why it was withdrawn, one sentence; found nothing."),
        (
            "withdrawn:\n  v1.8.4: [bad]",
            ", line 2: expected the reason why it was withdrawn, one sentence; found a list.",
        ),
    ],
)
def test_malformed(text: str, message: str) -> None:
    with pytest.raises(UserFileError) as raised:
        parsed(text)
    assert str(raised.value) == f"releases.yml{message}"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("add: [v1.8.5", "1"),
        ("add:\n  - v1.8.5\n kubernetes: {}", "3"),
        ('{\n  "add": ["v1.8.5"\n}', "3"),
        ("add: [v1.8.5]\n---\nadd: [v1.8.6]", "2"),
        ("add: *nowhere", "1"),
    ],
)
def test_neither_yaml_nor_json(text: str, line: str) -> None:
    with pytest.raises(UserFileError) as raised:
        parsed(text)
    assert str(raised.value).startswith(f"releases.yml, line {line}: expected YAML or JSON; found an error: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["\x00", "[" * 100_000])
def test_no_text_at_all(text: str) -> None:
    with pytest.raises(UserFileError, match=r"^releases\.yml[^\n]*: expected YAML or JSON; found an error: [^\n]+$"):
        parsed(text)


def test_without_pyyaml_the_message_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_file, "yaml", None)
    with pytest.raises(UserFileError, match=r"^releases\.yml: the Python library PyYAML is missing"):
        parsed("{}")


def examples() -> list[str]:
    return re.findall(r"^```yaml\n(.+?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_the_ways_on_the_page_are_those_of_its_examples() -> None:
    ways = re.findall(r"the way from (v\S+) to (v\S+) is (.+?)\.(?= |$)", PAGE, flags=re.MULTILINE)
    assert len(ways) == len(examples()) == 2
    for example, (running, wanted, stops) in zip(examples(), ways, strict=True):
        assert way(parsed(example), running, wanted) == stops.split(", ")


def test_the_page_names_the_keys_and_the_known_releases() -> None:
    keys = re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE)
    assert tuple(keys) == releases_file.KEYS
    assert f"releases from {KNOWN.minors[0].versions[0]} to {KNOWN.minors[-1].latest}," in PAGE


def test_the_error_on_the_page_is_a_real_one() -> None:
    text = "add:\n  - v1.8.5\n  - v1.9.0\n  - v1.10.0\n"
    with pytest.raises(UserFileError) as raised:
        parsed(text)
    assert f"```\n{raised.value}\n```" in PAGE


@pytest.mark.parametrize(
    "place", ["{}", "add: {}", "only: {}", "withdrawn: {}", "withdrawn: {{v1.8.4: {}}}", "kubernetes: {}"]
)
def test_a_bomb_of_aliases_is_not_followed(place: str) -> None:
    with pytest.raises(UserFileError):
        parsed(place.format(f"[{', '.join(ITEMS)}]"))
