# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wrong values for every option: one message that names the option, the value and what is allowed; and nothing was changed."""

from __future__ import annotations

import base64
import json
import typing as t
from collections.abc import Iterator

import pytest
import yaml
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.module_run import whole_spec
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations import (
    info,
    remove,
    upgrade,
    workload_strategy,
)
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.operations.given_files import MANIFEST_OPTIONS

from tests.contract.conftest import TO, World
from tests.contract.test_refusals import refused, untouched
from tests.support.forked import run_forked
from tests.support.lab import Json

SPECS: dict[str, Json] = {
    "kubevirt_info": whole_spec(info.ARGUMENT_SPEC),
    "kubevirt_upgrade": whole_spec(upgrade.ARGUMENT_SPEC),
    "kubevirt_workload_strategy": whole_spec(workload_strategy.ARGUMENT_SPEC),
    # Its manifest is read only where the operator has to be brought back.
    "kubevirt_remove": {name: one for name, one in remove.ARGUMENT_SPEC.items() if name not in MANIFEST_OPTIONS},
}
SPEC = {name: option for spec in SPECS.values() for name, option in spec.items()}
SECRET = "s3cret-value"
OTHER_UID = "6b6e7f9e-2f0f-4f59-9f0a-0f4b8f4a1c7e"
NOWHERE = "https://127.0.0.1:1"
ZEROES = f"sha256:{'0' * 64}"
# Values that begin with @ are replaced by what the fixture ``places`` has under that name.
LOGIN: Json = {"ca_cert": "@ca", "client_cert": "@certificate", "client_key": "@key"}
DIRECT: Json = {"kubeconfig": None, "host": "@host", **LOGIN}
TOKEN: Json = {"kubeconfig": None, "host": "@host", "ca_cert": "@ca", "api_key": SECRET}
NAMED: Json = {"kubeconfig": None, "host": "@host", "ca_cert": "@ca", "username": "jane", "password": SECRET}
PROXIED: Json = {"proxy": "http://127.0.0.1:1"}


RULE = "- id: user.a\n  level: warning\n  message: It may fail.\n  fix: Wait.\n"
GATE = RULE.replace("user.a", "user.b")
CONFIGMAPS = "  objects: {api_version: v1, kind: ConfigMap}\n"
USER_FILES = {
    "releases_key": "add: [v1.8.5]\nkubernets: {}\n",
    "releases_version": "add:\n  - v1.8.5\n  - 1.8\n",
    "releases_minor": "add:\n  - v1.10.0\n",
    "releases_range": "kubernetes:\n  1.10:\n    min: 1.35\n    max: 1.9\n",
    "rule_id": RULE.replace("user.a", "old-driver"),
    "rule_level": RULE.replace("warning", "warn"),
    "rule_key": f"{RULE}  wen: length(nodes) > `1`\n",
    "risks_expression": f"{RULE}  when: nodes[\n",
    "risks_function": f"{RULE}  when: len(nodes) > `1`\n",
    "risks_versions": f"{RULE}  to: 1.x\n",
    "rules_twice": RULE + RULE,
    "risk_of_the_same_id": GATE,
    "gate": f"{GATE}{CONFIGMAPS}  require: length(items) > `0`\n",
    "gates_objects": f"{GATE}  require: length(items) > `0`\n",
    "gates_kind": f"{GATE}{CONFIGMAPS}  require: length(items) > `0`\n".replace("ConfigMap", "configmaps"),
    "gates_condition": GATE + CONFIGMAPS,
    "gates_expression": f"{GATE}{CONFIGMAPS}  require: length(items) >> `0`\n",
}


class Wrong(t.NamedTuple):
    """A wrong value, what the message must say, the options beside it, and whether the message must show the value."""

    value: t.Any
    words: tuple[str, ...]
    beside: Json
    shown: bool = True


def wrong(value: t.Any, *words: str, **beside: t.Any) -> Wrong:
    return Wrong(value, words, beside)


def unfit(value: t.Any, *words: str, **beside: t.Any) -> Wrong:
    """A value that is right by itself, but not with the others, or not for this server."""
    return Wrong(value, words, beside, shown=False)


NOT_TEXT = [wrong(["x"], "['x'] is not"), wrong({"a": 1}, "{'a': 1} is not")]
CHOICE = [*NOT_TEXT, wrong(None)]
TEXT = [wrong("  ", "'  ' is blank", "leave it out"), *NOT_TEXT]
FLAG = [wrong(value, "is not true or false") for value in ("maybe", "", 2, [True])]
SECONDS = [
    *(wrong(value, "is not a whole number") for value in ("long", "", "1h", 1.5, True, [1])),
    *(wrong(value, "is not a whole number") for value in ("inf", float("inf"))),
    *(wrong(value, "is not a number of seconds from 1 to 604800 (7 days)") for value in (0, -5, 3600000, 10**30)),
]
NOT_WHOLE = [wrong(value, "is not a whole number") for value in ("many", "", 1.5, True, [1], "inf")]
GIVEN_FILE = [
    *TEXT,
    wrong("/nowhere/file.yml", "No such file", "Give the path of a file that exists, or the text."),
    wrong("@folder", "Is a directory"),
    wrong("@unreadable", "cannot be read: Input/output error"),
    wrong("@empty", "found nothing"),
    wrong("@binary", "expected YAML or JSON"),
    wrong("@not_yaml", "line 2: expected YAML or JSON"),
    wrong("https://example.com/file.yml", "is an address", "Give the path of a file"),
]
BY_VERSION = f"{NOWHERE}/{{version}}/o.yaml"
VERSION = "write it as v1.8.4"
NAMES = "lower-case letters, digits"

ROWS: dict[str, list[Wrong]] = {
    "kubeconfig": [
        wrong("  ", "is blank"),
        *(wrong(value, "neither a path nor a dictionary") for value in (["x"], 5, True)),
        wrong("/nowhere/config", "No such file"),
        wrong("https://example.com/config", "No such file"),
        wrong("@folder", "Is a directory"),
        wrong("@empty", "is empty"),
        wrong("@binary", "it is not YAML"),
        wrong("@not_yaml", "it is not YAML"),
        wrong("@words", "does not hold the settings"),
        wrong("@list", "does not hold the settings"),
        wrong({"a": 1}, "given as a dictionary", "current-context"),
    ],
    "context": [*TEXT, wrong("nosuch", "has no such context, only kubernetes-super-admin@kubernetes")],
    "host": [
        wrong("  ", "is blank", **LOGIN),
        *(wrong(one.value, *one.words, **DIRECT) for one in NOT_TEXT),
        wrong("127.0.0.1:6443", "is not an address", "https://127.0.0.1:6443", **DIRECT),
        *(
            wrong(value, "is not an address", "https://name:port", **DIRECT)
            for value in (
                "ftp://127.0.0.1",
                "https://",
                "https://127.0.0.1:99999",
                "https://exa mple",
                f"{NOWHERE}?x=y",
            )
        ),
        wrong("@plain_host", "answers only to https", **DIRECT),
        wrong(NOWHERE, "does not answer", "refused", **DIRECT),
        wrong("https://nosuch.invalid", "does not answer", **DIRECT),
        wrong("@wrong_path", "is no Kubernetes API server", **DIRECT),
    ],
    "api_key": [
        wrong(" ", "is blank", **TOKEN),
        wrong([SECRET], "is not text", **TOKEN),
        wrong(SECRET, "401 Unauthorized", "log in again", **TOKEN),
        wrong(f"{SECRET}\n{SECRET}", "line end", **TOKEN),
        wrong(SECRET, "without a host", "Set host", kubeconfig=None),
    ],
    "username": [
        wrong("  ", "is blank", **NAMED),
        *(wrong(one.value, *one.words, **NAMED) for one in NOT_TEXT),
        unfit("jane", "without password", **{**NAMED, "password": None}),
        unfit("jane", "few servers take username and password", **NAMED),
        unfit("jane", "api_key", "only one of them", **{**NAMED, "api_key": SECRET}),
    ],
    "password": [
        wrong("  ", "is blank", **NAMED),
        wrong([SECRET], "is not text", **NAMED),
        wrong(SECRET, "without username", **{**NAMED, "username": None}),
        wrong(SECRET, "few servers take username and password", **NAMED),
    ],
    "validate_certs": FLAG,
    "ca_cert": [
        *TEXT,
        wrong("/nowhere/ca.pem", "No such file"),
        wrong("@folder", "Is not a file"),
        wrong("@empty", "holds no certificate in PEM form"),
        wrong("@binary", "holds no certificate in PEM form"),
        wrong("@broken_pem", "holds no certificate in PEM form"),
        unfit("@certificate", "CERTIFICATE_VERIFY_FAILED", "Set ca_cert", **TOKEN),
    ],
    "client_cert": [
        *(wrong(one.value, *one.words, **DIRECT) for one in TEXT),
        wrong("/nowhere/cert.pem", "No such file", **DIRECT),
        wrong("@folder", "Is not a file", **DIRECT),
        wrong("@binary", "in PEM form", **DIRECT),
        wrong("@ca", "The key does not belong to the certificate", **DIRECT),
        unfit("@certificate", "without client_key", **{**DIRECT, "client_key": None}),
        unfit("@certificate", "without a host", **{**DIRECT, "host": None}),
    ],
    "client_key": [
        *(wrong(one.value, *one.words, **DIRECT) for one in TEXT),
        wrong("/nowhere/key.pem", "No such file", **DIRECT),
        wrong("@folder", "Is not a file", **DIRECT),
        wrong("@binary", "in PEM form", **DIRECT),
        wrong("@encrypted", "without a password", **DIRECT),
        unfit("@key", "without client_cert", **{**DIRECT, "client_cert": None}),
    ],
    "proxy": [
        *TEXT,
        wrong("proxy.example:3128", "is not an address", "Write it as http://proxy.example:3128"),
        wrong("socks9://proxy.example", "is not an address"),
        wrong("https://", "is not an address"),
        wrong("socks5://127.0.0.1:1", "cannot be used", "socks"),
        wrong("http://127.0.0.1:1", "does not answer through the proxy", "refused"),
    ],
    "no_proxy": TEXT,
    "proxy_headers": [
        *(wrong(value, "is not a dictionary") for value in ("  ", "", SECRET, [SECRET])),
        wrong({"basic_auth": SECRET}, "basic_auth", "name:password", **PROXIED),
        wrong({"proxy_basic_auth": f"jane:{SECRET}\n"}, "proxy_basic_auth", "name:password", **PROXIED),
        wrong({"user_agent": "a\nb"}, "user_agent", "one line", **PROXIED),
        wrong({"agent": "x"}, "Unsupported parameters", "proxy_headers.agent", "user_agent"),
    ],
    "persist_config": FLAG,
    "impersonate_user": [
        *TEXT,
        wrong("nobody", "403 Forbidden", 'User "nobody" cannot get'),
        wrong("a\nb", "line end"),
    ],
    "impersonate_groups": [
        wrong({"a": 1}, "is not a list"),
        wrong([["a"]], "['a'] is not text"),
        wrong([" "], "is blank"),
        wrong(["admins"], "admins is set without impersonate_user"),
        wrong(["a\nb"], "line end", impersonate_user="jane"),
    ],
    "name": [*TEXT, *(wrong(value, NAMES, "dots") for value in ("Kube Virt", "../../nodes", "-x", "a" * 254))],
    "namespace": [*TEXT, *(wrong(value, NAMES) for value in ("Kube Virt", "../../nodes", "a.b", "a" * 64))],
    "expected_cluster_uid": [*TEXT, *(wrong(uid, "Its UID is ", "correct") for uid in ("0000", OTHER_UID, 5))],
    "version": [
        *TEXT,
        *(
            wrong(value, "is not a KubeVirt version", VERSION)
            for value in ("", "latest", "1.8", 1.8, "v1.8", "v1.8.4\n")
        ),
        *(wrong(value, "is not a KubeVirt version", VERSION) for value in ("v1,8,4", "v1.8.x", True, ZEROES)),
        wrong(None, "version"),
        wrong("v1.84", "is not a KubeVirt version", "Did you mean v1.8.4?"),
        wrong("1.8.4 ", "is not a KubeVirt version", "Did you mean v1.8.4?"),
        wrong("v9.9.9", "[version.unavailable]", "No KubeVirt 9.9 is known"),
        wrong("v1.11.0", "[version.unavailable]", "Ask for v1.9.0"),
        wrong("v1.8.44", "is not among the known releases", "did you mean v1.8.4?", manifest=BY_VERSION),
        wrong("v1.8.4", "Your releases file does not offer v1.8.4", "Ask for v1.8.3", releases="only: [v1.8.3]\n"),
        wrong(TO, "Your releases file does not offer v1.8.3", path=["v1.8.3", TO], releases=f"only: [{TO}]\n"),
        wrong("v1.6.6", "[version.downgrade]", "It runs v1.7.0", "supports no way back"),
        wrong("v0.16.0", "[version.before-first-supported]", "Ask for v1.7.0 or a later version."),
        wrong("v1.7.0", "[manifest.version-differs]"),
    ],
    "path": [
        wrong({"a": 1}, "is not a list"),
        wrong([["v1.8.4"]], "['v1.8.4'] is not text"),
        wrong(" ", "is blank"),
        wrong([" "], "is blank"),
        *(wrong(value, "path: '' is not a KubeVirt version", VERSION) for value in ("", [""], ["", TO])),
        wrong(["v1.84"], "path: 'v1.84' is not a KubeVirt version", "Did you mean v1.8.4?"),
        wrong(["v1.8.3", "latest"], "path: 'latest' is not a KubeVirt version", VERSION),
        wrong("v1.8.3", "path: it ends at v1.8.3, and version is v1.8.4"),
        wrong([TO, "v1.8.3"], "path: it ends at v1.8.3, and version is v1.8.4"),
        wrong([TO, "v1.7.4", TO], "path: The path goes from v1.8.4 to v1.7.4", "only later versions"),
        wrong([TO, TO], "path: The path goes from v1.8.4 to v1.8.4", "only later versions"),
        wrong(["v1.9.0"], "[version.skips-minor]", "leaves out 1.8", "Put v1.8.4 between", version="v1.9.0"),
    ],
    "releases": [
        *GIVEN_FILE,
        wrong("@words", "line 1: expected a mapping with add, only, kubernetes or withdrawn; found 'hello there'"),
        wrong(
            "@releases_key",
            "line 2: expected add, only, kubernetes or withdrawn",
            "'kubernets' (did you mean kubernetes?)",
        ),
        wrong("@releases_version", "line 3: expected a version of KubeVirt", "such as v1.10.0; found '1.8'"),
        wrong("@releases_minor", "line 2: expected the Kubernetes versions of 1.10 under kubernetes"),
        wrong("@releases_range", "line 4: expected a max that is not before the min 1.35; found '1.9'"),
        wrong("add: [1.8]\n", "releases: the given text, line 1: expected a version of KubeVirt"),
    ],
    "risks": [
        *GIVEN_FILE,
        wrong("@words", "line 1: expected a list of risks; found 'hello there'"),
        wrong("@rule_id", "line 1, old-driver: expected an id that begins with user."),
        wrong("@rule_level", "line 2, user.a: expected info, warning or blocker; found 'warn' (did you mean warning?)"),
        wrong("@rule_key", "line 5, risk 1: expected", "found 'wen' (did you mean when?)"),
        wrong(
            "@risks_expression", "line 5, user.a: expected a JMESPath expression for when", "too early, at position 7"
        ),
        wrong("@risks_function", "line 5, user.a: expected", "no function len(), at position 1"),
        wrong("@risks_versions", "line 5, user.a: expected versions for to such as 1.6", "found '1.x'"),
        wrong("@rules_twice", "line 5: expected each id once; found user.a that", "line 1 has too"),
        wrong("[]\n", "risks: the given text, line 1: expected a list of risks; found an empty list"),
    ],
    "gates": [
        *GIVEN_FILE,
        wrong("@words", "line 1: expected a list of gates; found 'hello there'"),
        wrong("@gates_objects", "line 1, user.b: expected objects such as", "found none"),
        wrong("@gates_kind", "line 5, user.b: expected a kind such as Deployment; found 'configmaps'"),
        wrong(
            "@gates_condition", "line 1, user.b: expected either when (what must not be) or require", "found neither"
        ),
        wrong("@gates_expression", "line 6, user.b: expected a JMESPath expression for require", "at position"),
        wrong(
            "@gate", "line 1: expected each id once; found user.b that", "line 1 has too", risks="@risk_of_the_same_id"
        ),
        wrong("[]\n", "gates: the given text, line 1: expected a list of gates; found an empty list"),
    ],
    "manifest": [
        *TEXT,
        wrong("/nowhere/operator.yaml", "No such file"),
        wrong("@folder", "/v1.8.4/kubevirt-operator.yaml cannot be read: No such file"),
        wrong("@unreadable", "cannot be read: Input/output error"),
        wrong("@empty", "The manifest is empty"),
        wrong("@binary", "not valid YAML"),
        wrong("@not_yaml", "not valid YAML"),
        wrong("@words", "is not a Kubernetes object"),
        wrong("http://127.0.0.1:1/o.yaml", "Use https, or give manifest_checksum"),
        wrong("ftp://127.0.0.1/o.yaml", "neither https:// nor a path"),
        wrong("https://", "cannot be fetched"),
        wrong(f"{NOWHERE}/o.yaml", "cannot be fetched", "refused"),
        wrong("https://nosuch.invalid/o.yaml", "cannot be fetched", "mirror"),
        wrong("@mirror", "/v1.9.0/kubevirt-operator.yaml cannot be read: No such file", version="v1.9.0"),
        wrong("@one_manifest", "is one manifest, and there are several hops", "{version}", version="v1.9.0"),
    ],
    "manifest_checksum": [
        *TEXT,
        *(
            wrong(value, "sha256: with 64 or sha512:")
            for value in ("abc", "sha256:abc", f"md5:{'0' * 32}", "0" * 64, 5)
        ),
        wrong(ZEROES, "its checksum is not", "correct manifest_checksum"),
        wrong(ZEROES, "is for one manifest", "several hops", version="v1.9.0", manifest="@mirror"),
    ],
    "manifest_validate_certs": FLAG,
    "manifest_ca_path": [
        *TEXT,
        wrong("/nowhere/ca.pem", "No such file"),
        wrong("@folder", "Is not a file"),
        wrong("@empty", "holds no certificate in PEM form"),
    ],
    "bundle_dir": [
        *TEXT,
        wrong("/nowhere/bundles", "cannot be made, because /nowhere does not exist", "name another"),
        wrong("nosuch/bundles", "cannot be made"),
        wrong("@empty", "is not a directory"),
    ],
    "manifest_namespace": [
        *TEXT,
        *(wrong(value, NAMES) for value in ("Kube Virt", "-x", "kubevirt/x", "a" * 64)),
        wrong("virt", "is for namespace virt", "Set manifest_namespace: kubevirt"),
    ],
    "image_registry": [
        *TEXT,
        *(
            wrong(value, "such as quay.io/kubevirt", "without a scheme, a tag and a slash at its end")
            for value in (
                "https://quay.io/kubevirt",
                "quay.io/kubevirt/",
                "quay.io/kubevirt:v1.8.4",
                "Quay.io/KubeVirt",
            )
        ),
    ],
    "strict_patches": FLAG,
    "method": [*CHOICE, *(wrong(value, "auto, operator, image_tag") for value in ("imageTag", "", "Auto", True))],
    "pin": [*CHOICE, *(wrong(value, "keep, remove") for value in ("yes", "", "Keep", True))],
    "workload_methods_after": [
        *CHOICE,
        *(wrong(value, "restore, leave_empty") for value in ("keep", "", "Restore", True)),
    ],
    "accept": [
        wrong({"a": 1}, "is not a list"),
        wrong([["a"]], "['a'] is not text"),
        wrong(" ", "is blank"),
        *(wrong(value, "'' is no finding id") for value in ("", [""])),
        *(wrong(value, "is no finding id", "findings of a run") for value in ("all", "*", True)),
        wrong(["owner.argocd"], "'owner.argocd' is no finding id. Did you mean owner.argo-cd?"),
        unfit("owner.helm, owner.olm", "' owner.olm' is no finding id. Did you mean owner.olm?"),
    ],
    "state": [
        *CHOICE,
        *(wrong(value, "present, absent") for value in ("gone", "", "Present", True)),
        wrong("absent", "methods: state: absent removes the whole strategy, so leave methods out"),
    ],
    "methods": [
        wrong({"a": 1}, "is not a list"),
        wrong([["a"]], "['a'] is not text"),
        *(wrong(value, "one or more of: LiveMigrate, Evict") for value in (" ", "", "livemigrate", ["Restart"], True)),
        wrong(None, "methods: it is missing", "an empty one"),
    ],
    "batch_eviction_size": [
        *NOT_WHOLE,
        *(wrong(value, "is not a number from 1 to 2147483647") for value in (0, -5, 10**30)),
    ],
    "batch_eviction_interval": [
        *TEXT,
        *(
            wrong(value, "is not a duration; write numbers with their units, such as 90s")
            for value in ("60", "1 minute", "-5s", "1d", "PT1M", 60)
        ),
        wrong("0s", "is no time between batches"),
    ],
    "list_vms": [*NOT_WHOLE, *(wrong(value, "is not a number from 0 to 2147483647") for value in (-1, 10**30))],
    "wait": FLAG,
    "confirm": [
        *TEXT,
        *(
            wrong(value, "is not of the form CLUSTER-UID:N VMs:N disks", "the refusal prints what to give")
            for value in (
                "yes",
                "2 VMs:3 disks",
                f"{OTHER_UID}:2:3",
                f"{OTHER_UID}:2 VMs",
                f"{OTHER_UID}:-1 VMs:0 disks",
                True,
            )
        ),
        unfit(f"{OTHER_UID}:2 VMs:3 disks", f"it is for the cluster with the UID {OTHER_UID}", name=None),
    ],
    "disks": [*CHOICE, *(wrong(value, "keep, remove") for value in ("orphan", "", "Keep", True))],
    "repair": [*CHOICE, *(wrong(value, "report, safe, finalizers") for value in ("all", "", "Safe", True))],
    "backup": FLAG,
    "backup_dir": [
        *TEXT,
        wrong("/nowhere/backups", "cannot be made, because /nowhere does not exist", "backup: false"),
        wrong("@empty", "is not a directory", "backup: false"),
        unfit("", "it is not set, and a backup is written before anything is removed"),
    ],
    "remove_namespace": FLAG,
    "clean_nodes": FLAG,
    "vm_stop_timeout": SECONDS,
    "wait_timeout": SECONDS,
    "stall_timeout": SECONDS,
    "migration_drain_timeout": SECONDS,
}

CASES = [
    pytest.param(module, option, one, id=f"{module.removeprefix('kubevirt_')}-{option}-{one.value!r:.40}-{number}")
    for module, spec in SPECS.items()
    for option in spec
    for number, one in enumerate(ROWS.get(option, []))
]


@pytest.fixture(scope="module")
def places(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the values of the table mean: files of all kinds, and addresses of this API server."""
    folder = tmp_path_factory.mktemp("places")
    config = yaml.safe_load(world.lab.kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    files = {
        "empty": b"",
        "binary": bytes(range(256)) * 20,
        "not_yaml": b"a: [\n",
        "words": b"hello there",
        "list": b"- a\n- b\n",
        **{name: text.encode() for name, text in USER_FILES.items()},
        "broken_pem": b"-----BEGIN CERTIFICATE-----\nnope\n-----END CERTIFICATE-----\n",
        "encrypted": b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nbm9wZQ==\n-----END ENCRYPTED PRIVATE KEY-----\n",
        "ca": base64.b64decode(cluster["certificate-authority-data"]),
        "certificate": base64.b64decode(user["client-certificate-data"]),
        "key": base64.b64decode(user["client-key-data"]),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    manifest = world.manifests[TO]
    (folder / "mirror" / TO).mkdir(parents=True)
    (folder / "mirror" / TO / "kubevirt-operator.yaml").write_bytes(manifest.read_bytes())
    return {
        **{name: str(folder / name) for name in files},
        "folder": str(folder),
        "mirror": str(folder / "mirror"),
        "one_manifest": str(manifest),
        "unreadable": "/proc/self/mem",
        "host": cluster["server"],
        "plain_host": cluster["server"].replace("https://", "http://"),
        "wrong_path": f"{cluster['server']}/wrong/path",
    }


@pytest.fixture(scope="module", autouse=True)
def nothing_changes(world: World) -> Iterator[None]:
    """Whatever is asked for here, no request of ours writes."""
    with untouched(world):
        yield


def placed(value: t.Any, places: dict[str, str]) -> t.Any:
    return places[value[1:]] if isinstance(value, str) and value[:1] == "@" else value


def options(world: World, module: str, places: dict[str, str], **changes: t.Any) -> Json:
    """Options that are right, but for ``changes``; None leaves one out."""
    right: Json = {"kubeconfig": str(world.lab.kubeconfig)}
    if module == "kubevirt_upgrade":
        right |= {"version": TO, "manifest": str(world.manifests[TO])}
    if module == "kubevirt_workload_strategy":
        right |= {"methods": ["Evict"]}
    if module == "kubevirt_remove":  # a value that is not refused must not remove it
        right |= {"backup_dir": "@folder", "name": "not-this-one"}
    return {name: placed(value, places) for name, value in {**right, **changes}.items() if value is not None}


def is_secret(option: str) -> bool:
    return bool(SPEC[option].get("no_log")) or option == "proxy_headers"


def test_every_option_has_a_row() -> None:
    assert set(ROWS) == set(SPEC)


@pytest.mark.parametrize(("module", "option", "case"), CASES)
def test_a_wrong_value(world: World, places: dict[str, str], module: str, option: str, case: Wrong) -> None:
    value = placed(case.value, places)
    params = options(world, module, places, **{**case.beside, option: value})
    if case.value is None and option not in ("version", "methods"):  # that would be to leave it out
        params[option] = None
    result = run_forked(module, params, seconds=20)
    told(result.data, option, *case.words)
    refused(result, option, *case.words)
    if is_secret(option):
        assert SECRET not in json.dumps(result.data)
    elif case.shown and isinstance(value, str) and value.isprintable():
        assert value in result.message


def told(data: Json, *words: str) -> None:
    """One message, which is not about our code."""
    message = data["msg"]
    assert "exception" not in data
    for word in ("Traceback", "mistake", "object at 0x"):
        assert word not in message, message
    if message.startswith("Refused before any change."):
        assert message.count("  Do: ") == 1, message
    else:
        assert len(message.splitlines()) == 1, message
    assert all(word in message for word in words), message


@pytest.mark.parametrize("module", SPECS)
def test_an_option_that_does_not_exist(world: World, places: dict[str, str], module: str) -> None:
    result = run_forked(module, options(world, module, places, wait_timout=5))
    refused(result, "Unsupported parameters", "wait_timout", "expected_cluster_uid")


COMBINATIONS: list[tuple[Json, tuple[str, ...]]] = [
    ({"host": "@host"}, ("kubeconfig and host are both set", "either")),
    ({"context": "x", "kubeconfig": None, **NAMED}, ("context and", "username are both set", "either")),
    ({**DIRECT, "api_key": SECRET, "username": "jane", "password": SECRET}, ("api_key and username are both set",)),
    ({**DIRECT, "host": None}, ("client_cert, client_key is set without a host", "Set host")),
]


@pytest.mark.parametrize(("changes", "words"), COMBINATIONS)
def test_options_that_do_not_go_together(
    world: World, places: dict[str, str], changes: Json, words: tuple[str, ...]
) -> None:
    result = run_forked("kubevirt_info", options(world, "kubevirt_info", places, **changes))
    refused(result, "Nothing was done", *words)
    told(result.data)
    assert SECRET not in json.dumps(result.data)


VARIABLES: list[tuple[dict[str, str], tuple[str, ...]]] = [
    ({"K8S_AUTH_VERIFY_SSL": "maybe"}, ("K8S_AUTH_VERIFY_SSL: 'maybe' is not true or false",)),
    ({"K8S_AUTH_CONTEXT": " "}, ("K8S_AUTH_CONTEXT: ' ' is blank",)),
    ({"K8S_AUTH_KUBECONFIG": "/nowhere/config"}, ("/nowhere/config", "No such file", "K8S_AUTH_KUBECONFIG")),
    ({"K8S_AUTH_API_KEY": SECRET}, ("K8S_AUTH_API_KEY is set without a host", "K8S_AUTH_HOST")),
    ({"K8S_AUTH_HOST": "127.0.0.1"}, ("'127.0.0.1' is not an address", "https://127.0.0.1")),
    ({"KUBECONFIG": "/nowhere/config"}, ("/nowhere/config", "No such file")),
]


@pytest.mark.parametrize(("variables", "words"), VARIABLES)
def test_a_variable_of_the_environment(variables: dict[str, str], words: tuple[str, ...]) -> None:
    result = run_forked("kubevirt_info", {}, env=variables)
    refused(result, *words)
    told(result.data)
    assert SECRET not in json.dumps(result.data)


@pytest.mark.parametrize(
    "option", sorted(name for name, one in SPEC.items() if one.get("type", "str") in ("str", "path"))
)
def test_empty_text_is_the_same_as_leaving_an_option_out(world: World, places: dict[str, str], option: str) -> None:
    if SPEC[option].get("required") or SPEC[option].get("choices") or option == "manifest":
        return  # the table has the first two; without the last one KubeVirt's own release would be fetched
    module = next(module for module, spec in SPECS.items() if option in spec)
    params = {**options(world, module, places, **{option: ""}), "_ansible_check_mode": True}
    left_out = {name: value for name, value in params.items() if name != option}
    results = [run_forked(module, asked) for asked in (params, left_out)]
    empty, missing = ((one.code, one.data.get("state"), one.data.get("msg")) for one in results)
    assert empty == missing, results
    assert empty[:2] == (0, "healthy") or module == "kubevirt_remove", "a removal is refused without its options"


PLAYBOOKS: list[tuple[str, Json, tuple[str, ...]]] = [
    ("upgrade", {}, ("kubevirt_version is missing or empty", "-e kubevirt_version=v1.8.4")),
    ("upgrade", {"kubevirt_version": ""}, ("kubevirt_version is missing or empty",)),
    ("upgrade", {"kubevirt_version": None}, ("kubevirt_version is missing or empty",)),
    ("upgrade", {"kubevirt_version": 1.8}, ("version: '1.8' is not a KubeVirt version", VERSION)),
    ("upgrade", {"kubevirt_version": TO, "kubevirt_hosts": "nosuch"}, ('matches "nosuch"', "kubevirt_clusters")),
    (
        "upgrade",
        {"kubevirt_version": TO, "kubevirt_hooks": {"befor_cluster": "x.yml"}},
        ('kubevirt_hooks: "befor_cluster" is no hook', "Possible are before_cluster, after_cluster, on_failure"),
    ),
    (
        "upgrade",
        {"kubevirt_version": TO, "kubevirt_hooks": {"on_failure": "/nowhere/hook.yml"}},
        ("kubevirt_hooks: on_failure is to be a file of tasks, and there is no file /nowhere/hook.yml",),
    ),
    ("upgrade", {"kubevirt_version": TO, "kubevirt_hooks": "x.yml"}, ("kubevirt_hooks: it is not a dictionary",)),
    ("plan", {}, ("kubevirt_version is missing or empty", "-e kubevirt_version=v1.8.4")),
    ("plan", {"kubevirt_version": ""}, ("kubevirt_version is missing or empty",)),
    ("plan", {"kubevirt_version": None}, ("kubevirt_version is missing or empty",)),
    ("plan", {"kubevirt_version": 1.8}, ("version: '1.8' is not a KubeVirt version", VERSION)),
    ("plan", {"kubevirt_version": TO, "kubevirt_path": "v1.8.3"}, ("path: it ends at v1.8.3",)),
    ("plan", {"kubevirt_version": TO, "kubevirt_risks": "nosuch.yml"}, ("nosuch.yml", "risks")),
    ("plan", {"kubevirt_version": TO, "kubevirt_hosts": "nosuch"}, ('matches "nosuch"', "kubevirt_clusters")),
    ("status", {"kubevirt_hosts": ""}, ('matches ""', "set kubevirt_hosts")),
    ("status", {"kubevirt_context": "nosuch"}, ("context nosuch", "no such context, only kubernetes-super-admin")),
    ("upgrade", {"kubevirt_version": TO, "kubevirt_wait_timeout": "long"}, ("kubevirt_upgrade_wait_timeout", "int")),
]


@pytest.mark.parametrize(("playbook", "variables", "words"), PLAYBOOKS)
def test_a_playbook(world: World, playbook: str, variables: Json, words: tuple[str, ...]) -> None:
    done = world.lab.playbook(playbook, **variables)
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert all(word in output.replace('\\"', '"') for word in words), output
    assert "Traceback" not in output
    if "version is missing" in words[0] or "kubevirt_hooks" in words[0]:
        assert "Look at KubeVirt" not in output, "the cluster was asked before"
