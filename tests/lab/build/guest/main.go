// Copyright the kubevirt.lifecycle maintainers
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Guest is all that runs in a real guest of the lab: the first process, after the kernel. It tells over HTTP which boot
// it is and how often it was asked, so that a guest that was started anew is told from one that runs on.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	device   = "eth0"
	httpPort = 8080
	echoPort = 7777
)

type answer struct {
	BootID string `json:"boot_id"`
	// Uptime is in seconds.
	Uptime float64 `json:"uptime"`
	// Counter is one more with each answer since the boot.
	Counter int64 `json:"counter"`
	// Requests are those on this connection, this one included.
	Requests int64  `json:"requests"`
	Address  string `json:"address"`
}

type guest struct {
	bootID  string
	address string
	counter atomic.Int64
}

func main() {
	must(prepare())
	lease, err := bringUp(device)
	must(err)
	bootID, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	must(err)
	serving := &guest{bootID: strings.TrimSpace(string(bootID)), address: lease.address.String()}
	say("boot %s has the address %s", serving.bootID, serving.address)
	go serving.echo()
	go heartbeat()
	must(serving.serve())
}

// prepare mounts what programs expect and loads the modules of /modules, by the order of their names.
func prepare() error {
	for _, mount := range []struct{ kind, path string }{{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}} {
		if err := os.MkdirAll(mount.path, 0o755); err != nil {
			return err
		}
		if err := syscall.Mount(mount.kind, mount.path, mount.kind, 0, ""); err != nil {
			return fmt.Errorf("%s: %w", mount.path, err)
		}
	}
	modules, err := filepath.Glob("/modules/*.ko")
	if err != nil {
		return err
	}
	for _, module := range modules {
		if err := load(module); err != nil {
			return fmt.Errorf("%s: %w", module, err)
		}
	}
	return nil
}

func (g *guest) serve() error {
	mux := http.NewServeMux()
	mux.HandleFunc("/", g.once)
	mux.HandleFunc("/stream", g.stream)
	mux.HandleFunc("/write", g.write)
	server := &http.Server{
		Addr:        ":" + strconv.Itoa(httpPort),
		Handler:     mux,
		ConnContext: withCount,
	}
	return server.ListenAndServe()
}

func (g *guest) once(to http.ResponseWriter, request *http.Request) {
	to.Header().Set("Content-Type", "application/json")
	json.NewEncoder(to).Encode(g.answer(request))
}

// stream answers on one connection again and again, every second or after ?milliseconds=N.
func (g *guest) stream(to http.ResponseWriter, request *http.Request) {
	pause, err := strconv.Atoi(request.URL.Query().Get("milliseconds"))
	if err != nil || pause < 1 {
		pause = 1000
	}
	to.Header().Set("Content-Type", "application/x-ndjson")
	for json.NewEncoder(to).Encode(g.answer(request)) == nil {
		if http.NewResponseController(to).Flush() != nil {
			return
		}
		time.Sleep(time.Duration(pause) * time.Millisecond)
	}
}

func (g *guest) answer(request *http.Request) answer {
	return answer{g.bootID, uptime(), g.counter.Add(1), countOf(request), g.address}
}

// echo sends back each line that it is sent, for connections that are held open.
func (g *guest) echo() {
	listener, err := net.Listen("tcp", ":"+strconv.Itoa(echoPort))
	must(err)
	for {
		connection, err := listener.Accept()
		must(err)
		go func() {
			defer connection.Close()
			lines := bufio.NewReader(connection)
			for {
				line, err := lines.ReadString('\n')
				if err != nil {
					return
				}
				if _, err := io.WriteString(connection, line); err != nil {
					return
				}
			}
		}()
	}
}

func uptime() float64 {
	content, err := os.ReadFile("/proc/uptime")
	must(err)
	seconds, err := strconv.ParseFloat(strings.Fields(string(content))[0], 64)
	must(err)
	return seconds
}

func say(format string, values ...any) {
	fmt.Printf("guest: "+format+"\n", values...)
}

// must powers the guest off on an error: it then shows as ended, and its last words are in the log of its console.
func must(err error) {
	if err == nil {
		return
	}
	say("%v", err)
	time.Sleep(time.Second) // the console is slow
	syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
	os.Exit(1)
}
