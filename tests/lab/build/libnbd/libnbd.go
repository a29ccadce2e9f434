// Copyright the kubevirt.lifecycle maintainers
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Package libnbd stands in for the Go binding of libnbd, which needs that library's headers and is not served as a Go
// module. It has the names that virt-launcher uses, and every call fails: VMs cannot be backed up, all else works.
package libnbd

import "errors"

const (
	CONTEXT_BASE_ALLOCATION   = "base:allocation"
	CONTEXT_QEMU_DIRTY_BITMAP = "qemu:dirty-bitmap:"

	STATE_HOLE  uint32 = 1
	STATE_ZERO  uint32 = 2
	STATE_DIRTY uint32 = 1
)

var errAbsent = errors.New("libnbd is not in this build")

// Libnbd is the handle that there never is.
type Libnbd struct{}

// LibnbdExtent is a piece of an export.
type LibnbdExtent struct {
	Length uint64
	Flags  uint64
}

// ExtentCallback is told of an export's extents.
type ExtentCallback func(metacontext string, offset uint64, entries []LibnbdExtent, nbdError *int) int

// BlockStatus64Optargs are options that are not used.
type BlockStatus64Optargs struct{}

// PreadOptargs are options that are not used.
type PreadOptargs struct{}

func Create() (*Libnbd, error) { return nil, errAbsent }

func (*Libnbd) Close() error { return errAbsent }

func (*Libnbd) AddMetaContext(string) error { return errAbsent }

func (*Libnbd) CanMetaContext(string) (bool, error) { return false, errAbsent }

func (*Libnbd) GetSize() (uint64, error) { return 0, errAbsent }

func (*Libnbd) BlockStatus64(uint64, uint64, ExtentCallback, *BlockStatus64Optargs) error {
	return errAbsent
}

func (*Libnbd) Pread([]byte, uint64, *PreadOptargs) error { return errAbsent }

func (*Libnbd) SetExportName(string) error { return errAbsent }

func (*Libnbd) ConnectUnix(string) error { return errAbsent }
