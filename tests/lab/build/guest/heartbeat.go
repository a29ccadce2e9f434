// Copyright the kubevirt.lifecycle maintainers
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"net"
	"time"
)

// heartbeat sends a datagram that nobody reads, twenty times a second, by way of the default gateway. Behind masquerade
// QEMU's announcement of a guest that has arrived does not leave its pod; with its first packet the pod asks for the
// gateway, and by that the network learns where the guest is now. See kvlab/pod_network.py.
func heartbeat() {
	socket, err := net.ListenPacket("udp4", ":0")
	must(err)
	for {
		socket.WriteTo([]byte{0}, &net.UDPAddr{IP: net.IPv4(10, 96, 0, 1), Port: 9})
		time.Sleep(50 * time.Millisecond)
	}
}
