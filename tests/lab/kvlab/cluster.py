# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control plane: certificates, etcd, kube-apiserver, kube-controller-manager, kube-scheduler, and the relay."""

from __future__ import annotations

import shutil
import socket
import sys
from pathlib import Path

import yaml

from kvlab import kubectl, manifests, relay
from kvlab.builds import program
from kvlab.lab import API_PORT, API_SERVICE_ADDRESS, NODE_ADDRESS, NODE_NAME, SERVICE_CIDR, Lab
from kvlab.netns import inside
from kvlab.processes import must_run, run, start
from kvlab.waiting import wait_for

ETCD = "http://127.0.0.1:2379"
KUBECONFIGS = ("super-admin", "controller-manager", "scheduler", "kubelet")


def make_certificates(lab: Lab) -> None:
    """Certificates and kubeconfigs, by kubeadm; it does nothing else here."""
    config = _kubeadm_configuration(lab, NODE_NAME)
    run(inside(lab, [program("kubernetes", "kubeadm"), "init", "phase", "certs", "all", f"--config={config}"]))
    for user in KUBECONFIGS:
        _make_kubeconfig(lab, user, config, lab.kubeconfig_of(user).parent)


def make_node_credentials(lab: Lab, name: str) -> None:
    """The kubeconfig of one more node's kubelet, signed as the first one's."""
    _make_kubeconfig(lab, "kubelet", _kubeadm_configuration(lab, name), lab.kubelet_kubeconfig(name).parent)


def _make_kubeconfig(lab: Lab, user: str, config: Path, folder: Path) -> None:
    arguments = [f"--config={config}", f"--kubeconfig-dir={folder}"]
    run(inside(lab, [program("kubernetes", "kubeadm"), "init", "phase", "kubeconfig", user, *arguments]))


def _kubeadm_configuration(lab: Lab, node_name: str) -> Path:
    kubeadm = program("kubernetes", "kubeadm")
    config = lab.state / f"kubeadm-{node_name}.yaml"
    config.write_text(
        yaml.safe_dump_all(
            [
                {
                    "apiVersion": "kubeadm.k8s.io/v1beta4",
                    "kind": "InitConfiguration",
                    "localAPIEndpoint": {"advertiseAddress": NODE_ADDRESS, "bindPort": API_PORT},
                    "nodeRegistration": {"name": node_name},
                },
                {
                    "apiVersion": "kubeadm.k8s.io/v1beta4",
                    "kind": "ClusterConfiguration",
                    "kubernetesVersion": run([kubeadm, "version", "-o", "short"]).strip(),
                    "certificatesDir": str(lab.pki),
                    "encryptionAlgorithm": "ECDSA-P256",
                    "networking": {"serviceSubnet": SERVICE_CIDR},
                    "apiServer": {"certSANs": ["127.0.0.1", "localhost"]},
                },
            ]
        ),
        encoding="utf-8",
    )
    return config


def start_api(lab: Lab) -> None:
    """Start etcd, the apiserver and the relay, and wait until the API answers outside of the namespace."""
    start(lab, "etcd", inside(lab, _etcd(lab)))
    wait_for("etcd", lambda: _etcd_answers(lab), 60)
    start(lab, "kube-apiserver", inside(lab, _apiserver(lab)))
    port = _start_relay(lab)
    _write_outside_kubeconfig(lab, port)
    wait_for("the API", lambda: _api_answers(lab), 120)


def start_controllers(lab: Lab) -> None:
    """Start the controller-manager and the scheduler. They need the apiserver's bootstrap RBAC.

    They take some seconds to get to work; :func:`wait_for_controllers` comes later, when something else was done.
    """
    role = "system:kube-controller-manager"
    wait_for("the bootstrap RBAC", lambda: kubectl.get(lab, "clusterrolebinding", role), 60)
    kubectl.apply(lab, manifests.DATA / "kubeadm-admins.yaml")
    start(lab, "kube-controller-manager", inside(lab, _controller_manager(lab)))
    start(lab, "kube-scheduler", inside(lab, _scheduler(lab)))


def wait_for_controllers(lab: Lab) -> None:
    """Wait until the controllers do their work: without a service account there are no pods."""
    wait_for("the default service account", lambda: _controllers_work(lab), 60)


def _etcd_answers(lab: Lab) -> bool:
    must_run(lab, "etcd")
    log = (lab.logs / "etcd.log").read_text(encoding="utf-8", errors="replace")
    return "ready to serve client requests" in log


def _api_answers(lab: Lab) -> bool:
    must_run(lab, "kube-apiserver")
    must_run(lab, "relay")
    return bool(kubectl.attempt(lab, "get", "--raw", "/readyz"))


def _controllers_work(lab: Lab) -> bool:
    must_run(lab, "kube-controller-manager")
    must_run(lab, "kube-scheduler")
    return bool(kubectl.get(lab, "serviceaccount", "default"))


def _start_relay(lab: Lab) -> int:
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        descriptor = listener.fileno()
        command = [sys.executable, "-I", relay.__file__, str(descriptor), API_SERVICE_ADDRESS, str(API_PORT)]
        start(lab, "relay", inside(lab, command), pass_fds=[descriptor])
        return int(listener.getsockname()[1])


def _write_outside_kubeconfig(lab: Lab, port: int) -> None:
    inside_config = lab.kubeconfig_of("super-admin")
    config = yaml.safe_load(inside_config.read_text(encoding="utf-8"))
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
    lab.kubeconfig.touch(mode=0o600)
    lab.kubeconfig.write_text(yaml.safe_dump(config), encoding="utf-8")


def _etcd(lab: Lab) -> list[str | Path]:
    return [
        program("etcd", "etcd"),
        "--name=lab",
        f"--data-dir={lab.state}/etcd",
        f"--listen-client-urls={ETCD}",
        f"--advertise-client-urls={ETCD}",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--initial-advertise-peer-urls=http://127.0.0.1:2380",
        "--initial-cluster=lab=http://127.0.0.1:2380",
        "--unsafe-no-fsync",
    ]


def _apiserver(lab: Lab) -> list[str | Path]:
    pki = lab.pki
    shutil.copyfile(manifests.DATA / "audit-policy.yaml", lab.state / "audit-policy.yaml")
    return [
        program("kubernetes", "kube-apiserver"),
        f"--advertise-address={NODE_ADDRESS}",
        f"--secure-port={API_PORT}",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        f"--etcd-servers={ETCD}",
        "--allow-privileged=true",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--client-ca-file={pki}/ca.crt",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--kubelet-client-certificate={pki}/apiserver-kubelet-client.crt",
        f"--kubelet-client-key={pki}/apiserver-kubelet-client.key",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki}/sa.pub",
        f"--service-account-signing-key-file={pki}/sa.key",
        # Webhooks and aggregated APIs are called at pod addresses: there is no kube-proxy.
        "--enable-aggregator-routing=true",
        f"--proxy-client-cert-file={pki}/front-proxy-client.crt",
        f"--proxy-client-key-file={pki}/front-proxy-client.key",
        f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--audit-policy-file={lab.state}/audit-policy.yaml",
        f"--audit-log-path={lab.audit_log}",
        # One file for a lab's whole life: tests read it from end to end.
        "--audit-log-maxsize=4096",
    ]


def _controller_manager(lab: Lab) -> list[str | Path]:
    pki, kubeconfig = lab.pki, lab.kubeconfig_of("controller-manager")
    return [
        program("kubernetes", "kube-controller-manager"),
        "--bind-address=127.0.0.1",
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--leader-elect=false",
        "--use-service-account-credentials=true",
        f"--root-ca-file={pki}/ca.crt",
        f"--service-account-private-key-file={pki}/sa.key",
        f"--cluster-signing-cert-file={pki}/ca.crt",
        f"--cluster-signing-key-file={pki}/ca.key",
    ]


def _scheduler(lab: Lab) -> list[str | Path]:
    kubeconfig = lab.kubeconfig_of("scheduler")
    return [
        program("kubernetes", "kube-scheduler"),
        "--bind-address=127.0.0.1",
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--leader-elect=false",
    ]
