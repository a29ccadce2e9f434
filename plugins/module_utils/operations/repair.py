# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private to the collection. Carrying out what lets a deletion go on. Each write has a precondition, so that it is about that object."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping

from ..cluster.api import Api, Json
from ..cluster.clock import Clock
from ..cluster.errors import ClusterError, Conflict, ManifestUnavailable, NotFound
from ..knowledge.blockage_scene import Cure
from ..knowledge.conditions import observed_registry
from ..knowledge.finalizers import OPERATOR, stripping_patch
from ..knowledge.manifest import Manifest, with_registry
from ..knowledge.objects import path_of
from ..knowledge.stuck import operator_not_ready
from ..knowledge.versions import Version, try_parse
from .applying import Applying
from .deleting import delete_that_one
from .editing import ATTEMPTS
from .given_files import load_manifest
from .outcome import Report
from .stopping import Stopped
from .upgrade_plan import applies_of

READY_WITHIN = 300
"""Seconds that virt-operator gets to be ready after it was brought back."""
_LOOK_EVERY = 2


class Repair:
    """Carrying out cures, with an account that stays when one of them raises an error.

    Args:
        api: The cluster.
        params: Options, ``MANIFEST_OPTIONS`` of ``given_files.py`` among them.
        clock: Time.
        report: Takes progress lines.

    Attributes:
        done: The cures that changed something.
    """

    def __init__(self, api: Api, params: Mapping[str, t.Any], clock: Clock, report: Report) -> None:
        self._api = api
        self._params = params
        self._clock = clock
        self._report = report
        self.done: list[Cure] = []

    def cure(self, those: Iterable[Cure]) -> list[Cure]:
        """Carry out these cures in their order. What somebody else has done meanwhile is left alone.

        Returns:
            Those that changed something.

        Raises:
            ClusterError: The server refuses it or does not answer, or the operator's manifest cannot be had.
            Stopped: virt-operator is back and does not get ready, or an object changes faster than it can be written.
        """
        before = len(self.done)
        for one in those:
            self._report(f"repair: {one.action} {one.object} ({one.reason})")
            if self._carry_out(one):
                self._report(f"repair: {one.object}: done")
            else:
                self._report(f"repair: {one.object}: somebody else has done it, or it is another one by now")
        return self.done[before:]

    def _carry_out(self, cure: Cure) -> bool:
        if cure.action == "restore-operator":
            return self._restore(cure)
        try:
            is_done = (
                self._strip(cure)
                if cure.action == "strip-finalizers"
                else delete_that_one(self._api, cure.path, cure.uid)
            )
        except NotFound:
            return False
        if is_done:
            self.done.append(cure)
        return is_done

    def _strip(self, cure: Cure) -> bool:
        unsure = False
        for _attempt in range(ATTEMPTS):
            live = self._api.get(cure.path)
            is_it = live["metadata"]["uid"] == cure.uid and live["metadata"].get("deletionTimestamp")
            patch = stripping_patch(live, cure.finalizers) if is_it else None
            if patch is None:
                return unsure
            try:
                self._api.json_patch(cure.path, patch)
            except Conflict as error:
                unsure = unsure or error.in_doubt
                continue
            return True
        words = f"{cure.object} changes faster than it can be written. Find out who writes to it."
        raise Stopped(words=words, in_doubt=unsure)

    # virt-operator

    def _restore(self, cure: Cure) -> bool:
        kubevirt = self._api.get_or_none(cure.path)
        if kubevirt is None or kubevirt["metadata"]["uid"] != cure.uid:
            return False
        manifest = self._manifest(kubevirt, cure.version)
        changed = False
        try:
            for step in applies_of(
                manifest, {path: self._api.get_or_none(path) for path in map(path_of, manifest.objects)}
            ):
                applying = Applying(self._api, self._clock)
                try:
                    applying.apply(step.path, step.object, step.body)
                finally:
                    changed = changed or applying.changed
        finally:
            if changed:
                self.done.append(cure)
        self._until_ready(manifest.namespace)
        return changed

    def _manifest(self, kubevirt: Json, version: str) -> Manifest:
        """The operator's manifest as it was: of its version, in its namespace, from its registry if no other one is asked for."""
        home = kubevirt["metadata"]["namespace"]
        parsed = Version.parse(version)
        manifest = load_manifest({**self._params, "manifest_namespace": home}, parsed, is_one_of_several=False)
        registry = observed_registry(kubevirt)
        if registry and registry != manifest.registry and not self._params["image_registry"]:
            manifest = with_registry(manifest, registry)
        if try_parse(manifest.version) != parsed:
            raise ManifestUnavailable(
                f"manifest: it declares {manifest.version or 'no version'}, and {version} is what was installed and has to finish the "
                f"deletion. Give the kubevirt-operator.yaml of {version}."
            )
        return manifest

    def _until_ready(self, home: str) -> None:
        for _attempt in range(READY_WITHIN // _LOOK_EVERY):
            live = self._api.get_or_none(f"/apis/apps/v1/namespaces/{home}/deployments/{OPERATOR}") or {}
            if (live.get("status") or {}).get("readyReplicas"):
                return
            self._clock.pause(_LOOK_EVERY)
        raise Stopped(operator_not_ready(home, self._pods(home), READY_WITHIN // 60))

    def _pods(self, home: str) -> list[Json]:
        try:
            return [*self._api.objects(f"/api/v1/namespaces/{home}/pods", label_selector=f"kubevirt.io={OPERATOR}")]
        except ClusterError:  # they would say more, no more than that
            return []
