// Copyright the kubevirt.lifecycle maintainers
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
)

type countKey struct{}

// withCount gives a connection a count of its requests.
func withCount(of context.Context, _ net.Conn) context.Context {
	return context.WithValue(of, countKey{}, new(atomic.Int64))
}

// countOf counts a request on its connection.
func countOf(request *http.Request) int64 {
	return request.Context().Value(countKey{}).(*atomic.Int64).Add(1)
}
