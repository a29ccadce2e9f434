# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One source of authentication, the cluster that it names, and what is said when there are several or none."""

from __future__ import annotations

import base64
import typing as t
from pathlib import Path

import kubernetes
import pytest
import yaml
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster import connection
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.clock import Clock
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.connection import (
    USER_AGENT,
    auth_argument_spec,
    auth_source,
    connect,
    secrets_of,
)
from ansible_collections.kubevirt.lifecycle.plugins.module_utils.cluster.errors import AuthError

# tests/unit/cluster/conftest.py
Server = t.Any
QuickClock = t.Any


Options = dict[str, t.Any]

SECRET = "s3cret-value"
CA_FILE = "/etc/ssl/certs/none.pem"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of the machine that runs the tests names a cluster."""
    for name in list(connection.os.environ):
        if name.startswith(("K8S_AUTH_", "KUBERNETES_", "KUBECONFIG")):
            monkeypatch.delenv(name)
    monkeypatch.setattr(kubernetes.config.kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "default"))


class TestSource:
    @pytest.mark.parametrize(
        ("options", "environ", "expected"),
        [
            ({}, {}, {}),
            ({"kubeconfig": None, "host": "", "impersonate_groups": []}, {}, {}),
            ({"kubeconfig": "b", "context": "c"}, {}, {"kubeconfig": "b", "context": "c"}),
            ({"kubeconfig": "b", "version": "v1.8.4", "name": "x"}, {}, {"kubeconfig": "b"}),
            ({"host": "A", "api_key": "a"}, {}, {"host": "A", "api_key": "a"}),
            ({"validate_certs": False}, {}, {"validate_certs": False}),
            ({"kubeconfig": "b"}, {"K8S_AUTH_HOST": "", "HOME": "/home/someone"}, {"kubeconfig": "b"}),
            ({}, {"K8S_AUTH_KUBECONFIG": "b", "K8S_AUTH_CONTEXT": "c"}, {"kubeconfig": "b", "context": "c"}),
            (
                {},
                {"K8S_AUTH_HOST": "A", "K8S_AUTH_API_KEY": "a", "K8S_AUTH_VERIFY_SSL": "False"},
                {"host": "A", "api_key": "a", "validate_certs": False},
            ),
            ({}, {"K8S_AUTH_HOST": "A", "K8S_AUTH_VERIFY_SSL": "yes"}, {"host": "A", "validate_certs": True}),
            ({}, {"K8S_AUTH_VALIDATE_CERTS": "true", "K8S_AUTH_VERIFY_SSL": "no"}, {"validate_certs": True}),
            ({}, {"K8S_AUTH_VALIDATE_CERTS": "", "K8S_AUTH_VERIFY_SSL": "0"}, {"validate_certs": False}),
            (
                {},
                {
                    "K8S_AUTH_HOST": "A",
                    "K8S_AUTH_CERT_FILE": "c",
                    "K8S_AUTH_KEY_FILE": "k",
                    "K8S_AUTH_SSL_CA_CERT": "ca",
                },
                {"host": "A", "client_cert": "c", "client_key": "k", "ca_cert": "ca"},
            ),
            (
                {},
                {"K8S_AUTH_IMPERSONATE_USER": "u", "K8S_AUTH_IMPERSONATE_GROUPS": "g,h"},
                {"impersonate_user": "u", "impersonate_groups": ["g", "h"]},
            ),
            ({}, {"KUBECONFIG": "b"}, {}),
        ],
    )
    def test_exactly_one_source_counts(self, options: Options, environ: dict[str, str], expected: Options) -> None:
        assert auth_source(options, environ) == expected

    @pytest.mark.parametrize(
        ("options", "environ", "named"),
        [
            ({"kubeconfig": "B"}, {"K8S_AUTH_HOST": "A", "K8S_AUTH_API_KEY": SECRET}, ["kubeconfig", "K8S_AUTH_HOST", "K8S_AUTH_API_KEY"]),
            ({"kubeconfig": "B"}, {"K8S_AUTH_HOST": "A"}, ["kubeconfig", "K8S_AUTH_HOST"]),
            ({"kubeconfig": "B"}, {"K8S_AUTH_API_KEY": SECRET}, ["kubeconfig", "K8S_AUTH_API_KEY"]),
            ({"kubeconfig": "B"}, {"K8S_AUTH_VERIFY_SSL": "False"}, ["kubeconfig", "K8S_AUTH_VERIFY_SSL"]),
            ({"kubeconfig": "B"}, {"K8S_AUTH_KUBECONFIG": "A"}, ["kubeconfig", "K8S_AUTH_KUBECONFIG"]),
            ({"context": "b"}, {"K8S_AUTH_KUBECONFIG": "A"}, ["context", "K8S_AUTH_KUBECONFIG"]),
            ({"host": "B", "api_key": SECRET}, {"K8S_AUTH_CERT_FILE": SECRET}, ["host", "api_key", "K8S_AUTH_CERT_FILE"]),
            ({"validate_certs": False}, {"K8S_AUTH_HOST": "A"}, ["validate_certs", "K8S_AUTH_HOST"]),
        ],
    )  # fmt: skip
    def test_options_and_variables_do_not_mix(
        self, options: Options, environ: dict[str, str], named: list[str]
    ) -> None:
        assert_refused(options, environ, [*named, "Nothing was done"])

    @pytest.mark.parametrize(
        ("values", "named"),
        [
            ({"kubeconfig": "b", "host": "A"}, ["kubeconfig", "host"]),
            ({"kubeconfig": "b", "api_key": SECRET}, ["kubeconfig", "api_key"]),
            ({"context": "b", "username": "u", "password": SECRET}, ["context", "username", "password"]),
            ({"api_key": SECRET}, ["api_key", "K8S_AUTH_HOST"]),
            ({"username": "u", "password": SECRET}, ["username", "password", "K8S_AUTH_HOST"]),
            ({"host": "A", "username": "u"}, ["username", "password"]),
            ({"host": "A", "password": SECRET}, ["username", "password"]),
            ({"host": "A", "client_cert": "c"}, ["client_cert", "client_key"]),
            ({"host": "A", "client_key": SECRET}, ["client_cert", "client_key"]),
            ({"host": "A", "api_key": SECRET, "username": "u", "password": SECRET}, ["api_key", "username"]),
        ],
    )
    def test_one_source_that_does_not_name_one_cluster_and_one_user(self, values: Options, named: list[str]) -> None:
        assert_refused(values, {}, [*named, "Nothing was done"])
        variables = {f"K8S_AUTH_{name.upper()}": value for name, value in values.items()}
        assert_refused({}, variables, [f"K8S_AUTH_{name.upper()}" if name in values else name for name in named])

    def test_the_options_are_those_of_kubernetes_core_and_a_copy(self) -> None:
        spec = auth_argument_spec()
        assert {"kubeconfig", "context", "host", "api_key", "validate_certs", "impersonate_user"} <= spec.keys()
        spec.clear()
        assert auth_argument_spec()

    def test_a_kubeconfig_is_no_secret_as_a_whole(self) -> None:
        assert not auth_argument_spec()["kubeconfig"]["no_log"]


def assert_refused(options: Options, environ: dict[str, str], words: list[str]) -> str:
    with pytest.raises(AuthError) as caught:
        auth_source(options, environ)
    message = str(caught.value)
    assert [word for word in words if word not in message] == [], message
    assert SECRET not in message
    return message


def kubeconfig(current: str = "first", **servers: str) -> Options:
    """A kubeconfig with a cluster, a user with a token, and a context for each name."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": current,
        "clusters": [{"name": name, "cluster": {"server": url}} for name, url in servers.items()],
        "users": [{"name": name, "user": {"token": f"token-of-{name}"}} for name in servers],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in servers],
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A kubeconfig of two clusters."""
    path = tmp_path / "kubeconfig"
    path.write_text(
        yaml.safe_dump(kubeconfig(first="https://first.example:6443", second="https://second.example:6443"))
    )
    return path


def connected(**options: t.Any) -> t.Any:
    return connect(options, check_mode=True, clock=Clock())


class TestKubeconfig:
    @pytest.mark.parametrize(("context", "expected"), [(None, "first"), ("first", "first"), ("second", "second")])
    def test_context(self, path: Path, context: str | None, expected: str) -> None:
        assert connected(kubeconfig=str(path), context=context).endpoint == f"https://{expected}.example:6443"

    def test_from_the_environment(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("K8S_AUTH_KUBECONFIG", str(path))
        monkeypatch.setenv("K8S_AUTH_CONTEXT", "second")
        assert connected().endpoint == "https://second.example:6443"

    def test_as_a_dictionary(self, tmp_path: Path) -> None:
        given = kubeconfig(first="https://first.example:6443", second="https://second.example:6443")
        assert connected(kubeconfig=given, context="second").endpoint == "https://second.example:6443"

    def test_in_the_home_directory(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(path.parent))
        assert connected(kubeconfig="~/kubeconfig").endpoint == "https://first.example:6443"

    def test_the_default_one_counts_when_nothing_is_set(self, path: Path) -> None:
        path.rename(path.with_name("default"))
        assert connected().endpoint == "https://first.example:6443"
        assert connected(context="second").endpoint == "https://second.example:6443"
        assert connected(validate_certs=False).endpoint == "https://first.example:6443"

    @pytest.mark.parametrize(("context", "expected"), [(None, "first"), ("second", "second")])
    def test_the_variable_counts_as_it_is_now(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, context: str | None, expected: str
    ) -> None:
        monkeypatch.setenv("KUBECONFIG", str(path))
        assert connected(context=context).endpoint == f"https://{expected}.example:6443"

    @pytest.mark.parametrize(
        ("chosen", "expected"), [(True, "https://first.example:6443"), (False, "https://pod.example")]
    )
    def test_in_a_pod_its_own_cluster_counts_unless_a_kubeconfig_was_chosen(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, chosen: bool, expected: str
    ) -> None:
        def of_the_pod(client_configuration: t.Any) -> None:
            client_configuration.host = "https://pod.example"

        monkeypatch.setattr(kubernetes.config, "load_incluster_config", of_the_pod)
        path.rename(path.with_name("default"))
        if chosen:
            monkeypatch.setenv("KUBECONFIG", str(path.with_name("default")))
        assert connected().endpoint == expected

    @pytest.mark.parametrize(
        ("text", "context"),
        [
            (None, None),
            ("", None),
            ("clusters: [", None),
            ("just words", None),
            (yaml.safe_dump(kubeconfig(first="https://f")), "nosuch"),
            (yaml.safe_dump(kubeconfig("nosuch", first="https://f")), None),
        ],
        ids=["missing", "empty", "no YAML", "no kubeconfig", "no such context", "no current one"],
    )
    def test_one_that_cannot_be_used_is_named(self, tmp_path: Path, text: str | None, context: str | None) -> None:
        file = tmp_path / "broken"
        if text is not None:
            file.write_text(text)
        with pytest.raises(AuthError) as caught:
            connected(kubeconfig=str(file), context=context)
        message = str(caught.value)
        assert f"The kubeconfig {file}" in message and "cannot be used" in message
        assert f"context {context}" in message if context else "context None" not in message
        assert "token-of" not in message

    def test_a_dictionary_that_cannot_be_used(self) -> None:
        with pytest.raises(AuthError, match="given as a dictionary, context nosuch cannot be used"):
            connected(kubeconfig=kubeconfig(first="https://f"), context="nosuch")

    def test_no_default_one(self) -> None:
        with pytest.raises(AuthError, match="at its default place cannot be used"):
            connected()


class TestSecrets:
    def test_those_of_a_kubeconfig_as_a_dictionary(self) -> None:
        given = kubeconfig(first="https://f", second="https://s")
        given["users"] += [
            {"name": "c", "user": {"client-certificate-data": "certificate", "client-key-data": "key"}},
            {"name": "b", "user": {"username": "u", "password": "p"}},
            {
                "name": "a",
                "user": {"auth-provider": {"name": "oidc", "config": {"client-secret": "cs", "id-token": "it"}}},
            },
            {
                "name": "e",
                "user": {"exec": {"command": "login", "env": [{"name": "PASS", "value": "v"}], "args": None}},
            },
            {"name": "n", "user": None},
        ]
        assert secrets_of({"kubeconfig": given}) == {"token-of-first", "token-of-second", "key", "p", "cs", "it", "v"}

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["get-token", f"--oidc-client-secret={SECRET}", "--oidc-client-id=us"], {SECRET}),
            (["get-token", "--password", SECRET, "--username", "us"], {SECRET}),
            (["get-token", "--oidc-use-access-token=true", "--oidc-use-access-token", "--verbose"], set()),
        ],
    )
    def test_those_in_the_arguments_of_a_login_command(self, arguments: list[str], expected: set[str]) -> None:
        user = {"name": "u", "user": {"exec": {"command": "kubelogin", "args": arguments}}}
        assert secrets_of({"kubeconfig": {"users": [user]}}) == expected

    def test_those_in_the_addresses_of_a_kubeconfig(self) -> None:
        cluster = {"server": "https://me:first@a.example:6443", "proxy-url": "http://me:second@proxy.example:3128"}
        assert secrets_of({"kubeconfig": {"clusters": [{"name": "c", "cluster": cluster}]}}) == {"first", "second"}

    def test_those_in_addresses(self) -> None:
        params = {
            "manifest": "https://user:pass@mirror.example/operator.yaml",
            "proxy": "http://:word@proxy.example:3128",
            "host": "https://a.example:6443/x@y",
            "image_registry": "registry.example:5000/a@b",
            "context": "admin:bare@a.example",
            "wait": True,
        }
        assert secrets_of(params) == {"pass", "word", "bare"}

    def test_a_manifest_is_no_flag_of_the_option_behind_it(self) -> None:
        assert secrets_of({"manifest": "---\nkind: Secret\n# a token\n", "version": "v1.8.4"}) == set()

    @pytest.mark.parametrize("kubeconfig", [None, "/a/path", {}, {"users": None}, {"users": [None, "x"]}])
    def test_where_there_are_none(self, kubeconfig: t.Any) -> None:
        assert secrets_of({"kubeconfig": kubeconfig}) == set()


class TestAddress:
    @pytest.mark.parametrize(
        "options",
        [
            *(
                {"host": host}
                for host in ("https://[::1", "https://", "ftp://a.example", "https://a:99999", "https://a b")
            ),
            {"host": "https://a.example?x=y"},
            {"host": "https://a.example", "proxy": "https://"},
            {"host": "https://a.example", "proxy": "a.example:3128"},
            {"host": "https://a.example", "proxy": "socks9://a.example"},
        ],
    )
    def test_one_that_is_none_is_told(self, options: Options) -> None:
        with pytest.raises(AuthError) as caught:
            connected(api_key=SECRET, **options)
        option, address = [*options.items()][-1]
        assert str(caught.value).startswith(
            f"{option}: {address!r} is not an address. Nothing was done. Write it as http"
        )

    @pytest.mark.parametrize(
        ("options", "environ"),
        [
            ({"host": f"me:{SECRET}@a.example"}, {}),
            ({"host": f"ftp://me:{SECRET}@a.example"}, {}),
            ({"host": "https://a.example", "proxy": f"me:{SECRET}@proxy.example:3128"}, {}),
            ({"host": "https://a.example", "proxy": f"http://me:a/{SECRET}@proxy.example:3128"}, {}),
            ({"host": "https://a.example", "proxy": f"gopher://me:{SECRET}@proxy.example"}, {}),
            ({"host": "https://a.example"}, {"HTTPS_PROXY": f"gopher://me:{SECRET}@proxy.example"}),
            ({}, {"K8S_AUTH_HOST": f"me:{SECRET}@a.example"}),
            ({}, {"K8S_AUTH_HOST": "https://a.example", "K8S_AUTH_PROXY": f"me:{SECRET}@proxy.example"}),
            ({"kubeconfig": kubeconfig(first=f"ftp://me:{SECRET}@a.example")}, {}),
        ],
    )
    def test_one_with_a_password_is_told_without_it(
        self, options: Options, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(AuthError, match="example") as caught:
            connected(**options)
        print(caught.value)
        assert SECRET not in str(caught.value)

    @pytest.mark.parametrize(
        "options",
        [
            {"host": f"https://me:{SECRET}@a.example:6443"},
            {"kubeconfig": kubeconfig(first=f"https://me:{SECRET}@a.example:6443")},
        ],
    )
    def test_the_endpoint_is_without_a_password(self, options: Options) -> None:
        assert connected(**options).endpoint == "https://a.example:6443"

    def test_one_without_a_scheme_is_not_asked_in_plain_text(self) -> None:
        with pytest.raises(AuthError, match=r"Write it as https://a\.example:6443"):
            connected(host="a.example:6443", api_key=SECRET)


class TestProxy:
    @pytest.mark.parametrize("environ", [{}, {"HTTPS_PROXY": "proxy.example:3128"}])
    def test_one_without_a_scheme_is_named(self, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        options = {} if environ else {"proxy": "proxy.example:3128"}
        with pytest.raises(AuthError) as caught:
            connected(host="https://a.example", api_key=SECRET, **options)
        assert ("The proxy of the environment" if environ else "proxy: ") in str(caught.value)
        assert "Write it as http://proxy.example:3128." in str(caught.value)


class TestRequests:
    """What goes out to the server."""

    def asked(self, server: Server, **options: t.Any) -> t.Any:
        server.answer({})
        connected(**options).get("/version")
        return server.asked[-1].headers

    def test_a_token_of_the_options(self, server: Server) -> None:
        headers = self.asked(server, host=f"{server.endpoint}/", api_key="abc")
        assert headers.get_all("Authorization") == ["Bearer abc"]
        assert headers.get_all("User-Agent") == [USER_AGENT]
        assert server.asked[-1].path == "/version"

    def test_a_token_with_the_line_end_of_its_file(self, server: Server) -> None:
        headers = self.asked(server, host=server.endpoint, api_key="abc\n")
        assert headers.get_all("Authorization") == ["Bearer abc"]

    @pytest.mark.parametrize(
        "options",
        [
            {"api_key": f"{SECRET}\n{SECRET}"},
            {"api_key": SECRET, "impersonate_user": f"{SECRET}\r"},
            {"api_key": f"{SECRET}\u2026"},
            {"api_key": SECRET, "impersonate_user": "u", "impersonate_groups": ["g", f"{SECRET}\n"]},
        ],
    )
    def test_what_no_header_can_hold_is_told_without_it(self, server: Server, options: Options) -> None:
        with pytest.raises(AuthError, match="cannot be sent") as caught:
            self.asked(server, host=server.endpoint, **options)
        assert SECRET not in str(caught.value)
        assert server.asked == []

    def test_a_token_of_the_kubeconfig(self, server: Server) -> None:
        given = kubeconfig(first="https://unused.example", second=server.endpoint)
        headers = self.asked(server, kubeconfig=given, context="second")
        assert headers.get_all("Authorization") == ["Bearer token-of-second"]

    def test_a_name_and_a_password(self, server: Server) -> None:
        headers = self.asked(server, host=server.endpoint, username="u", password="p")
        assert headers.get_all("Authorization") == [f"Basic {base64.b64encode(b'u:p').decode()}"]

    def test_impersonation(self, server: Server) -> None:
        headers = self.asked(
            server, host=server.endpoint, api_key="abc", impersonate_user="u", impersonate_groups=["g", "h"]
        )
        assert headers["Impersonate-User"] == "u"
        assert headers.get_all("Impersonate-Group") == ["g", "h"]

    def test_nobody_else_is_impersonated(self, server: Server) -> None:
        headers = self.asked(server, host=server.endpoint, api_key="abc")
        assert [name for name in headers if name.startswith("Impersonate")] == []

    @pytest.mark.parametrize("option", ["ca_cert", "client_cert"])
    def test_a_certificate_that_is_not_there_is_told(self, server: Server, option: str) -> None:
        files = {"client_cert": CA_FILE, "client_key": CA_FILE} if option == "client_cert" else {option: CA_FILE}
        with pytest.raises(AuthError, match=f"{option}: No such file: {CA_FILE}"):
            connected(host=server.endpoint, **files)

    def test_a_token_that_cannot_be_renewed_is_told(self, monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
        def renew(_configuration: t.Any) -> None:
            raise OSError("the command failed")

        plain = kubernetes.client.Configuration

        def renewing() -> t.Any:
            configuration = plain()
            configuration.refresh_api_key_hook = renew
            return configuration

        monkeypatch.setattr(kubernetes.client, "Configuration", renewing)
        with pytest.raises(AuthError, match="cannot be renewed: the command failed"):
            self.asked(server, host=server.endpoint, api_key="abc")


POD = {"metadata": {"name": "a"}}


class TestRenewal:
    """A login that the server does not take any more is read anew: the kubernetes client keeps what it has read."""

    @pytest.fixture
    def refused(self, server: Server) -> None:
        """The first request is answered, the second one is not logged in any more, the third one is answered."""
        server.answer({}).answer({"reason": "Unauthorized"}, 401).answer(POD)

    def sent(self, server: Server, clock: QuickClock, renew: t.Callable[[], None], **options: t.Any) -> list[str]:
        api = connect(options, check_mode=True, clock=clock)
        api.get("/version")
        renew()
        assert api.get("/x") == POD
        return [asked.headers["Authorization"] for asked in server.asked]

    @pytest.mark.usefixtures("refused")
    def test_a_token_in_the_kubeconfig(self, server: Server, clock: QuickClock, tmp_path: Path) -> None:
        file = tmp_path / "kubeconfig"
        given = kubeconfig(first=server.endpoint)
        file.write_text(yaml.safe_dump(given))

        def renew() -> None:
            given["users"][0]["user"]["token"] = "new"
            file.write_text(yaml.safe_dump(given))

        expected = ["Bearer token-of-first", "Bearer token-of-first", "Bearer new"]
        assert self.sent(server, clock, renew, kubeconfig=str(file)) == expected

    @pytest.mark.usefixtures("refused")
    def test_a_token_in_a_file_that_the_kubeconfig_names(
        self, server: Server, clock: QuickClock, tmp_path: Path
    ) -> None:
        token = tmp_path / "token"
        token.write_text("old")
        given = kubeconfig(first=server.endpoint)
        given["users"][0]["user"] = {"tokenFile": str(token)}
        sent = self.sent(server, clock, lambda: t.cast(None, token.write_text("new")), kubeconfig=given)
        assert sent == ["Bearer old", "Bearer old", "Bearer new"]

    @pytest.mark.usefixtures("refused")
    def test_a_command_is_run_again(self, server: Server, clock: QuickClock, tmp_path: Path) -> None:
        command = tmp_path / "login"
        credential = (
            '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "%s"}}'
        )
        command.write_text(f"#!/bin/sh\necho >> {tmp_path}/runs\nprintf '{credential}' $(wc -l < {tmp_path}/runs)\n")
        command.chmod(0o755)
        given = kubeconfig(first=server.endpoint)
        given["users"][0]["user"] = {
            "exec": {
                "apiVersion": "client.authentication.k8s.io/v1",
                "command": str(command),
                "interactiveMode": "Never",
            }
        }
        assert self.sent(server, clock, lambda: None, kubeconfig=given) == ["Bearer 1", "Bearer 1", "Bearer 2"]

    def test_another_cluster_is_not_asked(self, server: Server, clock: QuickClock, tmp_path: Path) -> None:
        server.answer({}).answer({"reason": "Unauthorized"}, 401)
        file = tmp_path / "kubeconfig"
        file.write_text(yaml.safe_dump(kubeconfig(first=server.endpoint, second="https://second.example")))
        api = connect({"kubeconfig": str(file)}, check_mode=True, clock=clock)
        api.get("/version")
        file.write_text(yaml.safe_dump(kubeconfig("second", first=server.endpoint, second="https://second.example")))
        with pytest.raises(AuthError, match=r"names another cluster by now: https://second\.example"):
            api.get("/x")

    def test_one_that_is_gone_is_told(self, server: Server, clock: QuickClock, tmp_path: Path) -> None:
        server.answer({}).answer({"reason": "Unauthorized"}, 401)
        file = tmp_path / "kubeconfig"
        file.write_text(yaml.safe_dump(kubeconfig(first=server.endpoint)))
        api = connect({"kubeconfig": str(file)}, check_mode=True, clock=clock)
        api.get("/version")
        file.unlink()
        with pytest.raises(
            AuthError, match=r"does not take the login any more, and there is no new one: .*No such file"
        ) as caught:
            api.get("/x")
        assert "Nothing was done" not in str(caught.value), "the run may have done something before"

    def test_a_command_that_does_not_end_is_told(
        self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connection, "LOGIN_TIMEOUT", 0.05)
        given = kubeconfig(first=server.endpoint)
        given["users"][0]["user"] = {
            "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "sleep", "args": ["2"]}
        }
        with pytest.raises(AuthError, match="The command that the kubeconfig names for the login did not end within"):
            connected(kubeconfig=given)
