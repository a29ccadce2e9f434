# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. What can go wrong between us and a cluster, one type per cause.

Every message is a whole sentence for a person: what happened, to what, and what to do.
"""

from __future__ import annotations


class ClusterError(Exception):
    """Something outside of our own code stopped the run. ``str()`` of it is the message for the user.

    Attributes:
        in_doubt: It ended a write, and nobody knows whether the server carried that out.
    """

    in_doubt = False


class AuthError(ClusterError):
    """The options and the environment do not name exactly one cluster and one way to log in."""


class MissingLibrary(ClusterError):
    """A Python library that the collection needs is not there."""


class ManifestUnavailable(ClusterError):
    """The operator's manifest, or another file that an option names, could not be read or is not the expected one."""


class Unreachable(ClusterError):
    """No answer from the API server: it broke off, timed out, or what came cannot be read."""


class NotSent(Unreachable):
    """No connection to the API server: refused, timed out, or TLS failed. The request was not sent."""


class OldAnswer(ClusterError):
    """The API server answered with an object as it was before our own last write to it."""


class ApiError(ClusterError):
    """The API server answered with an error.

    Attributes:
        status: The HTTP status code.
        reason: Kubernetes' own word for it (``Forbidden``, ``NotFound``, ...).
        retry_after: The header of that name, as it came.
    """

    retry_after: str | None = None

    def __init__(self, method: str, path: str, status: int, reason: str, message: str) -> None:
        super().__init__(f"{method} {path} was answered with {status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message

    @property
    def of_webhook(self) -> bool:
        """Whether an admission webhook could not be asked, so that nothing was stored."""
        return self.status == 500 and "failed calling webhook" in self.message

    def __str__(self) -> str:
        hint = " See whether the pods behind that webhook run and are ready, then run again." if self.of_webhook else ""
        return super().__str__() + hint


class NotFound(ApiError):
    """404: the object, or its kind, does not exist."""


class Forbidden(ApiError):
    """403: the user may not do this."""

    def __str__(self) -> str:
        if '"system:anonymous"' in self.message:
            return (
                f"{super().__str__()}. The server found no login that it takes: give api_key, or client_cert and client_key, "
                "or a kubeconfig with them; few servers take username and password."
            )
        return f"{super().__str__()}. Grant this to the user, or log in (or impersonate_user) as one who may."


class Unauthorized(ApiError):
    """401: the server does not know who we are."""

    def __str__(self) -> str:
        return (
            f"{super().__str__()}. The token (api_key) or certificate (client_cert), or those of the "
            "kubeconfig, are wrong or have expired; log in again."
        )


class Conflict(ApiError):
    """409 or 412, or a JSON patch test that does not hold: the object changed in between."""


class Expired(ApiError):
    """410: the resourceVersion is too old; list again."""
