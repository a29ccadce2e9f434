# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Connecting to a cluster from exactly one source of authentication.

kubernetes.core mixes options, ``K8S_AUTH_*`` variables and kubeconfig value by value, so that a kubeconfig of one
cluster and variables of another end in a request to the wrong cluster. Here the options *or* the variables *or* the
default kubeconfig count, and a mixture is an error.
"""

from __future__ import annotations

import os
import queue
import re
import threading
import typing as t
from collections.abc import Callable, Mapping
from copy import deepcopy

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_MAP, AUTH_ARG_SPEC

from ..knowledge.redaction import with_flags
from .api import Api, Login
from .certificates import why_no_ca, why_no_file, why_no_login
from .clock import Clock
from .errors import AuthError, MissingLibrary

try:
    import kubernetes
    import urllib3
    import yaml
except ImportError as error:
    kubernetes = None
    KUBERNETES_IMPORT_ERROR: ImportError | None = error
else:
    KUBERNETES_IMPORT_ERROR = None

USER_AGENT = "kubevirt.lifecycle"
LOGIN_TIMEOUT = 60.0
"""Seconds for the command that a kubeconfig names to give a token."""

# Which server, and who we are there. The rest (proxies, TLS, impersonation) only says how to get there.
_SERVER_AND_USER = ("host", "api_key", "username", "password", "client_cert", "client_key")
_KUBECONFIG = ("kubeconfig", "context")
_PASSWORD_IN_ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]*://)?[^/@\s:]*:([^/@\s]+)@")
_HTTP = ("https", "http")
_PROXY = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")
_OPTION_OF_HEADER = {
    "authorization": "api_key",
    "impersonate-user": "impersonate_user",
    "impersonate-group": "impersonate_groups",
}
_SECRET_NAMES = re.compile("token|password|secret|key-data")
_SECRET_FLAG = re.compile(r"-[\w-]*(?:token|password|secret)=(?!true$|false$)(.+)")
_VARIABLES = {
    option: tuple(dict.fromkeys((f"K8S_AUTH_{option.upper()}", f"K8S_AUTH_{client_name.upper()}")))
    for client_name, option in {
        **AUTH_ARG_MAP,
        "impersonate_user": "impersonate_user",
        "impersonate_groups": "impersonate_groups",
    }.items()
    if option != "proxy_headers"
}


def auth_argument_spec() -> dict[str, t.Any]:
    """The authentication options, those of kubernetes.core.

    Some of its releases hide every word of a kubeconfig, "v1" and "default" too, wherever it occurs in a result.
    ``secrets_of`` names what is to be hidden instead.
    """
    return {**deepcopy(AUTH_ARG_SPEC), "kubeconfig": {"type": "raw", "no_log": False}}


def missing_library() -> str:
    """Why no cluster can be reached from this Python; empty when it can."""
    return str(KUBERNETES_IMPORT_ERROR or "")


def connect(params: Mapping[str, t.Any], *, check_mode: bool, clock: Clock) -> Api:
    """An Api for the one cluster that the options, or else the environment, name.

    Args:
        params: The module's options; only those of ``auth_argument_spec()`` are read.
        check_mode: True gives an Api that cannot write.
        clock: Measures retries.

    Raises:
        AuthError: The sources mix, are incomplete, or the kubeconfig cannot be used.
        MissingLibrary: ``kubernetes`` is not installed.
    """
    if kubernetes is None:
        raise MissingLibrary(
            f"The Python library kubernetes is missing ({KUBERNETES_IMPORT_ERROR}). "
            "Install it for the Python that runs this task: pip install 'kubernetes>=28.1,!=36.0.0'."
        )
    source = auth_source(params, os.environ)
    endpoint, login = _log_in(source)

    def log_in_again() -> Login:
        """Everything read anew: the kubernetes client keeps the tokens and certificates that it has read once."""
        try:
            now, renewed = _log_in(source)
        except AuthError as error:
            words = str(error).replace("Nothing was done. ", "")
            raise AuthError(f"{endpoint} does not take the login any more, and there is no new one: {words}") from error
        if now != endpoint:
            raise AuthError(
                f"{endpoint} does not take the login any more, and the kubeconfig names another cluster by now: {now}. Name the "
                "first one again (kubeconfig and context), then run again."
            )
        return renewed

    return Api(login.pool, endpoint, login.headers, check_mode=check_mode, clock=clock, log_in_again=log_in_again)


def _log_in(source: Mapping[str, t.Any]) -> tuple[str, Login]:
    """The server's address, and the login as the source gives it now."""
    configuration = _configuration(source)
    _refuse_certificates(configuration, source)
    endpoint = _address("The server of the kubeconfig", configuration.host, _HTTP)
    proxy = "proxy" if "proxy" in source else "The proxy of the environment"
    if configuration.proxy:
        _address(proxy, configuration.proxy, _PROXY)
    try:
        client = kubernetes.client.ApiClient(configuration)
    except (ValueError, ImportError) as error:  # of urllib3, the last one because a SOCKS proxy needs another library
        raise AuthError(
            f"{proxy}: {_without_login(configuration.proxy)} cannot be used: {error}. Nothing was done. Write it as http://name:port."
        ) from error
    return endpoint, Login(client.rest_client.pool_manager, lambda: _headers(configuration, source))


def secrets_of(params: Mapping[str, t.Any]) -> set[str]:
    """What must not be shown of options that Ansible shows: of a kubeconfig as a dictionary, and passwords in addresses."""
    kubeconfig = params.get("kubeconfig")
    parts = [kubeconfig.get(name) for name in ("clusters", "users")] if isinstance(kubeconfig, dict) else []
    texts = [value for value in params.values() if isinstance(value, str)]
    return {secret for one in (*parts, *texts) for secret in _secrets(one)}


def _secrets(value: t.Any, name: str = "") -> t.Iterator[str]:
    if isinstance(value, dict):
        for key, child in value.items():
            # The command that renews a token gets its secrets as variables: name and value.
            yield from _secrets(child, "secret" if key == "value" else str(key))
    elif isinstance(value, list):
        for child, flag in with_flags(value):
            yield from _secrets(child, flag or name)
    elif isinstance(value, str):
        if value and _SECRET_NAMES.search(name):
            yield value
        elif match := _PASSWORD_IN_ADDRESS.match(value) or _SECRET_FLAG.fullmatch(value):
            yield match[1]


def auth_source(params: Mapping[str, t.Any], environ: Mapping[str, str]) -> dict[str, t.Any]:
    """The authentication values of the one source that is set; empty means the default kubeconfig.

    Raises:
        AuthError: More than one source, or an incomplete one.
    """
    options = {name: params[name] for name in AUTH_ARG_SPEC if params.get(name) not in (None, "", [], {})}
    variables = {
        option: name for option, names in _VARIABLES.items() if (name := next((n for n in names if environ.get(n)), ""))
    }
    if options and variables:
        raise AuthError(
            f"The options {_listed(options)} and the environment variables {_listed(variables.values())} are both set, and could "
            "name different clusters. Nothing was done. Keep one: unset the variables "
            "(in AWX, remove the cluster credential from the job template), or leave out the options."
        )
    if not options:
        options = {option: _typed(option, name, environ[name]) for option, name in variables.items()}
        named: t.Callable[[str], str] = variables.__getitem__
    else:
        named = str
    _refuse_mixture(options, named)
    return options


def _refuse_mixture(source: Mapping[str, t.Any], named: t.Callable[[str], str]) -> None:
    files = [named(name) for name in _KUBECONFIG if name in source]
    direct = [named(name) for name in _SERVER_AND_USER if name in source]
    if files and direct:
        raise AuthError(
            f"{_listed(files)} and {_listed(direct)} are both set. A kubeconfig names server and user by itself. Nothing was "
            "done. Give either the kubeconfig and context, or the host and its credentials."
        )
    if direct and "host" not in source:
        raise AuthError(
            f"{_listed(direct)} is set without a host, so it would be sent to whatever cluster the default kubeconfig names. "
            "Nothing was done. Set host (K8S_AUTH_HOST) too."
        )
    for pair in (("client_cert", "client_key"), ("username", "password")):
        given, lacking = [name for name in pair if name in source], [name for name in pair if name not in source]
        if given and lacking:
            raise AuthError(
                f"{named(given[0])} is set without {lacking[0]}, and they belong together. Nothing was done. "
                f"Set {lacking[0]} (K8S_AUTH_{lacking[0].upper()}) too."
            )
    if (
        "impersonate_groups" in source and "impersonate_user" not in source
    ):  # a server error, for which we would try again
        raise AuthError(
            f"{named('impersonate_groups')}: {_listed(source['impersonate_groups'])} is set without impersonate_user, and the API "
            "server takes groups only with a user. Nothing was done. Set impersonate_user (K8S_AUTH_IMPERSONATE_USER) too."
        )
    if "api_key" in source and "username" in source:
        raise AuthError(
            f"{named('api_key')} and {named('username')} are both set, and only one of them can log in. Nothing was done. "
            "Keep one of them."
        )


def _address(option: str, address: str, schemes: tuple[str, ...]) -> str:
    """The address as it can be shown. Without a scheme, an API server would be asked in plain text, with the token."""
    try:
        url = urllib3.util.parse_url(address)
    except urllib3.exceptions.LocationParseError:
        url = urllib3.util.Url()
    if not url.host or url.scheme not in schemes or url.query is not None or url.fragment is not None:
        example = address if address and re.fullmatch(r"[\w.-]+(:[0-9]+)?", address) else "name:port"
        raise AuthError(
            f"{option}: {_without_login(address)!r} is not an address. Nothing was done. Write it as {schemes[0]}://{example}."
        )
    return url._replace(auth=None).url if url.auth else address


def _without_login(address: str) -> str:
    """What may be no address at all, without the name and password that may be in it."""
    return re.sub(r"^([a-z][a-z0-9+.-]*://)?.*@", r"\1", address, flags=re.IGNORECASE)


def _refuse_certificates(configuration: t.Any, source: Mapping[str, t.Any]) -> None:
    for names, files, why in (
        (("ca_cert",), (configuration.ssl_ca_cert,), why_no_ca),
        (("client_cert", "client_key"), (configuration.cert_file, configuration.key_file), why_no_login),
    ):
        reason = why(*files) if all(files) else ""
        if reason:
            # Those of a kubeconfig are often in files that only exist meanwhile.
            given = "; ".join(
                f"{name}: {source[name]}" if name in source else f"{name} of the kubeconfig" for name in names
            )
            raise AuthError(
                f"{given}: {reason}. Nothing was done. Give files as the cluster's administrator made them."
            )


def _listed(names: t.Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _typed(option: str, name: str, value: str) -> t.Any:
    if not value.strip():
        raise AuthError(f"{name}: {value!r} is blank. Nothing was done. Give it a value, or unset it.")
    kind = AUTH_ARG_SPEC[option].get("type")
    if kind == "bool":
        try:
            return boolean(value)
        except TypeError as error:
            raise AuthError(
                f"{name}: {value!r} is not true or false. Nothing was done. Set it to one of them."
            ) from error
    if kind == "list":
        return [item for item in value.split(",") if item]
    return value


def _configuration(source: Mapping[str, t.Any]) -> t.Any:
    configuration = kubernetes.client.Configuration()
    if "host" in source:
        configuration.host = _address("host", source["host"], _HTTP).rstrip("/")
        _set_credentials(configuration, source)
    else:
        _load_kubeconfig(configuration, source)
    if "validate_certs" in source:
        configuration.verify_ssl = source["validate_certs"]
    if "ca_cert" in source:
        configuration.ssl_ca_cert = _existing(source, "ca_cert")
    for name in ("proxy", "no_proxy"):
        if name in source:
            setattr(configuration, name, source[name])
    if "proxy_headers" in source:
        configuration.proxy_headers = _proxy_headers(source["proxy_headers"])
    return configuration


def _proxy_headers(given: Mapping[str, str | None]) -> t.Any:
    headers: dict[str, t.Any] = {name: value for name, value in given.items() if value}
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()) or (name.endswith("basic_auth") and ":" not in value):
            wanted = "name:password" if name.endswith("basic_auth") else "one line of plain characters"
            raise AuthError(f"proxy_headers: {name} cannot be sent. Nothing was done. Write it as {wanted}.")
    return urllib3.util.make_headers(**headers)


def _set_credentials(configuration: t.Any, source: Mapping[str, t.Any]) -> None:
    if "api_key" in source:
        # A token that was read from a file often ends with the file's line end.
        configuration.api_key = {"authorization": f"Bearer {source['api_key'].strip()}"}
    if "client_cert" in source:
        configuration.cert_file = _existing(source, "client_cert")
        configuration.key_file = _existing(source, "client_key")


def _existing(source: Mapping[str, t.Any], option: str) -> str:
    path: str = os.path.expanduser(source[option])
    reason = why_no_file(path)
    if reason:
        raise AuthError(f"{option}: {reason}: {path}. Nothing was done. Give the path of a file that exists.")
    return path


def _load_kubeconfig(configuration: t.Any, source: Mapping[str, t.Any]) -> None:
    where = {"client_configuration": configuration, "context": source.get("context")}
    where["persist_config"] = bool(source.get("persist_config"))
    kubeconfig = source.get("kubeconfig")

    def load() -> None:
        if isinstance(kubeconfig, dict):
            kubernetes.config.load_kube_config_from_dict(config_dict=kubeconfig, **where)
        elif kubeconfig or "context" in source:
            kubernetes.config.load_kube_config(config_file=_expanded(kubeconfig or _default_file()), **where)
        else:
            _load_default(where)

    try:
        _in_time(load)
    except AuthError:
        raise
    except Exception as error:  # the loader raises ConfigException, yaml, base64, OS and type errors alike
        name = (
            "given as a dictionary"
            if isinstance(kubeconfig, dict)
            else (kubeconfig or _default_file() or "at its default place")
        )
        context = f", context {source['context']}" if "context" in source else ""
        raise AuthError(
            f"The kubeconfig {name}{context} cannot be used: {_reason(source, error)}. Nothing was done. "
            "Set kubeconfig and context (or K8S_AUTH_KUBECONFIG, K8S_AUTH_CONTEXT) to a file and a context that exist."
        ) from error


def _in_time(login: Callable[[], t.Any]) -> t.Any:
    """What ``login`` gives. The kubernetes client sets no limit to the command that it runs for a token, so it gets a thread.

    Raises:
        AuthError: It took longer than ``LOGIN_TIMEOUT``. The command itself goes on until it ends.
    """
    ended: queue.SimpleQueue[tuple[t.Any, Exception | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            ended.put((login(), None))
        except Exception as error:  # for the thread that waits
            ended.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        result, error = ended.get(timeout=LOGIN_TIMEOUT)
    except queue.Empty:
        raise AuthError(
            f"The command that the kubeconfig names for the login did not end within {LOGIN_TIMEOUT:.0f} s. Nothing was done. Run "
            "kubectl version with this kubeconfig to see what it waits for; often that is a person."
        ) from None
    if error is not None:
        raise error
    return result


def _reason(source: Mapping[str, t.Any], error: Exception) -> str:
    """Why a kubeconfig cannot be loaded; the loader's own words are often those of the error that it ran into."""
    kubeconfig = source.get("kubeconfig") or _default_file()
    if kubeconfig and not isinstance(kubeconfig, (str, dict)):
        return "it is neither a path nor a dictionary"
    if isinstance(kubeconfig, str) and not any(map(os.path.exists, os.path.expanduser(kubeconfig).split(os.pathsep))):
        return "No such file"
    names = _contexts(kubeconfig)
    if names and source.get("context", names[0]) not in names:
        return f"it has no such context, only {_listed(names)}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, (yaml.YAMLError, UnicodeError)):
        return "it is not YAML"
    if isinstance(error, (TypeError, AttributeError, LookupError)):
        return "it does not hold the settings of one"
    return " ".join(str(error).split()).rstrip(".")


def _contexts(kubeconfig: t.Any) -> list[str]:
    """The names of its contexts, as far as it can be read."""
    try:
        if isinstance(kubeconfig, str):
            with open(_expanded(kubeconfig) or "", encoding="utf-8") as file:
                kubeconfig = yaml.safe_load(file)
        return [str(context["name"]) for context in kubeconfig["contexts"]]
    except (OSError, ValueError, TypeError, LookupError, yaml.YAMLError):
        return []


def _load_default(where: Mapping[str, t.Any]) -> None:
    """In a pod its service account, elsewhere the default kubeconfig, as kubernetes.core does; but KUBECONFIG is a choice."""
    chosen = _default_file()
    if chosen:
        kubernetes.config.load_kube_config(config_file=chosen, **where)
        return
    try:
        kubernetes.config.load_incluster_config(client_configuration=where["client_configuration"])
    except kubernetes.config.ConfigException:
        kubernetes.config.load_kube_config(config_file=None, **where)


def _default_file() -> str | None:
    """What KUBECONFIG says now; ``kubernetes`` reads it when it is imported, before a task's environment is set."""
    return os.environ.get("KUBECONFIG") or None


def _expanded(path: str | None) -> str | None:
    return os.path.expanduser(path) if path else None


def _settings(configuration: t.Any) -> t.Any:
    """What is to be sent for the login; the hook is that of a kubeconfig, and may run a command."""
    return (
        _in_time(configuration.auth_settings) if configuration.refresh_api_key_hook else configuration.auth_settings()
    )


def _headers(configuration: t.Any, source: Mapping[str, t.Any]) -> list[tuple[str, str]]:
    """The headers that log us in; asked for at every request, because tokens are renewed."""
    headers = [("User-Agent", USER_AGENT)]
    try:
        settings = _settings(configuration).values()
    except AuthError:
        raise
    except Exception as error:  # of a file, a command, or a library of a cloud, by which the token is renewed
        raise AuthError(
            f"The token cannot be renewed: {error}. Log in again, or mend the command that the kubeconfig names."
        ) from error
    headers += [
        (setting["key"], setting["value"]) for setting in settings if setting["in"] == "header" and setting["value"]
    ]
    if "username" in source:
        basic = urllib3.util.make_headers(basic_auth=f"{source['username']}:{source['password']}")
        headers.append(("Authorization", basic["authorization"]))
    if "impersonate_user" in source:
        headers.append(("Impersonate-User", source["impersonate_user"]))
    headers += [("Impersonate-Group", group) for group in source.get("impersonate_groups", [])]
    for name, value in headers:
        if not (
            value.isascii() and value.isprintable()
        ):  # http.client would say so with the value, which may be the token
            raise AuthError(
                f"{_OPTION_OF_HEADER.get(name.lower(), name)}: the value has a line end or another character that cannot be sent "
                "as a header. Nothing was done. Look at it in the options, the K8S_AUTH_* variables or the kubeconfig."
            )
    return headers
