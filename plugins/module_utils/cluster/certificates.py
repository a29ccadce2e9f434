# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Whether files of certificates can be used, before a connection fails on them without naming them."""

from __future__ import annotations

import os
import ssl


def why_no_file(path: str) -> str:
    """Why there is no file at ``path``; empty when there is one."""
    if os.path.isfile(path):
        return ""
    return "Is not a file" if os.path.exists(path) else "No such file"


def why_no_ca(path: str) -> str:
    """Why the file cannot tell which servers to trust; empty when it can."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:  # its own words speak of OpenSSL's parts
        return "It holds no certificate in PEM form"
    except OSError as error:
        return str(error.strerror)
    return ""


def why_no_login(certificate: str, key: str) -> str:
    """Why the two files cannot log in; empty when they can."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        # With a password, so that nobody is asked for the one of an encrypted key.
        context.load_cert_chain(certificate, key, password="none")  # nosec B106
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            return "The key does not belong to the certificate"
        return "They are not a certificate and its key without a password, in PEM form"
    except OSError as error:
        return str(error.strerror)
    return ""
