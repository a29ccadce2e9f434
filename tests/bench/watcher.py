# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write down what happens to KubeVirt and its parts, and when: python -m tests.bench.watcher KUBECONFIG FILE

A process of its own that knows nothing of the collection. One JSON object a line: when it came here, what came.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import typing as t
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kubernetes import config
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic import DynamicClient
from urllib3.exceptions import HTTPError

from tests.support.kubevirt import wait_until
from tests.support.lab import ROOT, Json

WATCHED = {
    "kubevirt": ("kubevirt.io/v1", "KubeVirt", ""),
    "deployments": ("apps/v1", "Deployment", ""),
    "daemonsets": ("apps/v1", "DaemonSet", ""),
    "pods": ("v1", "Pod", "kubevirt.io"),
}
"""What is watched, by the names that the collection has for it too: API version, kind, labels."""


@dataclass(frozen=True)
class Event:
    """Something that the watcher saw, and when it saw it."""

    at: float
    source: str
    type: str
    object: Json


@contextmanager
def watching(kubeconfig: Path, file: Path) -> Iterator[None]:
    """The watcher runs, and has seen all that there is already."""
    file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "tests.bench.watcher", str(kubeconfig), str(file)]
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            wait_until(lambda: file.exists() and {event.source for event in events_in(file)} == {*WATCHED})
            yield
        finally:
            process.kill()


def events_in(file: Path) -> list[Event]:
    """What the watcher has written."""
    lines = file.read_text().splitlines(keepends=True)
    return [Event(**json.loads(line)) for line in lines if line.endswith("\n")]


def main(kubeconfig: str, file: str) -> None:
    client = DynamicClient(config.new_client_from_config(kubeconfig))
    lock = threading.Lock()
    with Path(file).open("w") as log:

        def note(source: str, type: str, seen: Json) -> None:
            at = time.time()
            seen["metadata"].pop("managedFields", None)
            with lock:
                log.write(json.dumps({"at": at, "source": source, "type": type, "object": seen}) + "\n")
                log.flush()

        threads = [threading.Thread(target=follow, args=(client, source, note)) for source in WATCHED]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def follow(client: DynamicClient, source: str, note: t.Callable[[str, str, Json], None]) -> None:
    """Note every event of one source; a watch that ended is begun again."""
    api_version, kind, label_selector = WATCHED[source]
    resource = client.resources.get(api_version=api_version, kind=kind)
    while True:
        try:
            for event in resource.watch(namespace="kubevirt", label_selector=label_selector):
                note(source, event["type"], event["raw_object"])
        except (ApiException, HTTPError):
            time.sleep(0.1)


if __name__ == "__main__":
    main(*sys.argv[1:])
