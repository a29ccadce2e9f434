// Copyright the kubevirt.lifecycle maintainers
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// The few words of DHCP (RFC 2131) that a client needs.
const (
	discover, offer, request, ack = 1, 2, 3, 5

	optionMask, optionRouter, optionAddress, optionType, optionServer, optionEnd = 1, 3, 50, 53, 54, 255

	headerLength = 236
	serverPort   = 67
	clientPort   = 68
)

var cookie = []byte{99, 130, 83, 99}

type lease struct {
	address, mask, router, server net.IP
}

// bringUp gives a network device the address that DHCP has for it. The lease is not renewed: a lab does not last so long.
func bringUp(name string) (lease, error) {
	if err := setFlags("lo", syscall.IFF_UP); err != nil {
		return lease{}, err
	}
	deadline := time.Now().Add(10 * time.Second)
	for setFlags(name, syscall.IFF_UP) != nil { // the device appears a moment after its driver
		if time.Now().After(deadline) {
			return lease{}, fmt.Errorf("there is no device %s", name)
		}
		time.Sleep(10 * time.Millisecond)
	}
	got, err := ask(name)
	if err != nil {
		return lease{}, err
	}
	if err := setAddress(name, syscall.SIOCSIFADDR, got.address); err != nil {
		return lease{}, err
	}
	if err := setAddress(name, syscall.SIOCSIFNETMASK, got.mask); err != nil {
		return lease{}, err
	}
	return got, addDefaultRoute(got.router)
}

func ask(name string) (lease, error) {
	device, err := net.InterfaceByName(name)
	if err != nil {
		return lease{}, err
	}
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return lease{}, err
	}
	defer syscall.Close(socket)
	wait := syscall.Timeval{Sec: 1}
	if err := errors.Join(
		syscall.SetsockoptInt(socket, syscall.SOL_SOCKET, syscall.SO_BROADCAST, 1),
		syscall.SetsockoptString(socket, syscall.SOL_SOCKET, syscall.SO_BINDTODEVICE, name),
		syscall.SetsockoptTimeval(socket, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &wait),
		syscall.Bind(socket, &syscall.SockaddrInet4{Port: clientPort}),
	); err != nil {
		return lease{}, err
	}
	offered := lease{}
	for range 60 {
		kind, wanted := byte(discover), byte(offer)
		if offered.address != nil {
			kind, wanted = request, ack
		}
		everybody := &syscall.SockaddrInet4{Port: serverPort, Addr: [4]byte{255, 255, 255, 255}}
		if err := syscall.Sendto(socket, message(kind, device.HardwareAddr, offered), 0, everybody); err != nil {
			say("asking for an address: %v", err)
			time.Sleep(time.Second)
			continue
		}
		buffer := make([]byte, 2048)
		length, _, err := syscall.Recvfrom(socket, buffer, 0)
		if err != nil {
			continue // nobody answered in time
		}
		given, answered := read(buffer[:length], device.HardwareAddr)
		switch {
		case answered != wanted:
			offered = lease{}
		case answered == ack:
			return given, nil
		default:
			offered = given
		}
	}
	return lease{}, errors.New("no address by DHCP")
}

func message(kind byte, hardware net.HardwareAddr, offered lease) []byte {
	header := make([]byte, headerLength)
	header[0], header[1], header[2] = 1, 1, byte(len(hardware)) // a question, Ethernet
	copy(header[4:], hardware[2:])                              // the number of the question
	header[10] = 0x80                                           // answer by broadcast: there is no address yet
	copy(header[28:], hardware)
	words := append(header, cookie...)
	words = append(words, optionType, 1, kind)
	if kind == request {
		words = append(append(words, optionAddress, 4), offered.address.To4()...)
		words = append(append(words, optionServer, 4), offered.server.To4()...)
	}
	return append(words, optionEnd)
}

func read(words []byte, hardware net.HardwareAddr) (lease, byte) {
	start := headerLength + len(cookie)
	if len(words) < start || !bytes.Equal(words[headerLength:start], cookie) || !bytes.Equal(words[28:34], hardware) {
		return lease{}, 0
	}
	given := lease{address: net.IP(words[16:20])}
	var kind byte
	for options := words[start:]; len(options) > 2 && options[0] != optionEnd; {
		if options[0] == 0 { // padding
			options = options[1:]
			continue
		}
		length := int(options[1])
		if len(options) < 2+length {
			break
		}
		value := options[2 : 2+length]
		switch options[0] {
		case optionType:
			kind = value[0]
		case optionMask:
			given.mask = net.IP(value)
		case optionRouter:
			given.router = net.IP(value[:4])
		case optionServer:
			given.server = net.IP(value)
		}
		options = options[2+length:]
	}
	return given, kind
}

// interfaceRequest is the kernel's struct ifreq.
type interfaceRequest struct {
	name  [syscall.IFNAMSIZ]byte
	value [24]byte
}

// routeEntry is the kernel's struct rtentry.
type routeEntry struct {
	_                     uint64
	target, gateway, mask [16]byte
	flags                 uint16
	_                     int16
	_, _                  uint64
	_                     int16
	_, _, _               uint64
	_                     uint16
}

func setFlags(name string, flags uint16) error {
	asked := interfaceRequest{}
	copy(asked.name[:], name)
	binary.NativeEndian.PutUint16(asked.value[:], flags)
	return control(syscall.SIOCSIFFLAGS, unsafe.Pointer(&asked))
}

func setAddress(name string, what uintptr, address net.IP) error {
	asked := interfaceRequest{}
	copy(asked.name[:], name)
	placed := socketAddress(address)
	copy(asked.value[:], placed[:])
	return control(what, unsafe.Pointer(&asked))
}

func addDefaultRoute(router net.IP) error {
	entry := routeEntry{flags: syscall.RTF_UP | syscall.RTF_GATEWAY}
	entry.target, entry.mask = socketAddress(net.IPv4zero), socketAddress(net.IPv4zero)
	entry.gateway = socketAddress(router)
	return control(syscall.SIOCADDRT, unsafe.Pointer(&entry))
}

func socketAddress(address net.IP) [16]byte {
	placed := [16]byte{}
	binary.NativeEndian.PutUint16(placed[:], syscall.AF_INET)
	copy(placed[4:], address.To4())
	return placed
}

func control(what uintptr, argument unsafe.Pointer) error {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(socket)
	if _, _, failure := syscall.Syscall(syscall.SYS_IOCTL, uintptr(socket), what, uintptr(argument)); failure != 0 {
		return os.NewSyscallError("ioctl", failure)
	}
	return nil
}

func load(module string) error {
	content, err := os.ReadFile(module)
	if err != nil {
		return err
	}
	options := []byte{0}
	_, _, failure := syscall.Syscall(
		syscall.SYS_INIT_MODULE,
		uintptr(unsafe.Pointer(&content[0])),
		uintptr(len(content)),
		uintptr(unsafe.Pointer(&options[0])),
	)
	if failure != 0 {
		return os.NewSyscallError("init_module", failure)
	}
	return nil
}
