// Copyright the kubevirt.lifecycle maintainers
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

const page = 4096

// writing counts the wishes of write; each ends the one before.
var writing atomic.Int64

// write lets the guest change ?mebibytes=N of its memory twice a second, so that a slow migration never comes to an end; 0
// ends that.
func (g *guest) write(to http.ResponseWriter, request *http.Request) {
	mebibytes, err := strconv.Atoi(request.URL.Query().Get("mebibytes"))
	if err != nil || mebibytes < 0 || mebibytes > 64 {
		http.Error(to, "mebibytes is a number from 0 to 64", http.StatusBadRequest)
		return
	}
	wish := writing.Add(1)
	go func() {
		memory := make([]byte, mebibytes<<20)
		for mebibytes > 0 && writing.Load() == wish {
			for start := 0; start < len(memory); start += page {
				memory[start]++
			}
			time.Sleep(500 * time.Millisecond)
		}
	}()
	json.NewEncoder(to).Encode(g.answer(request))
}
