//go:build unix

package idset

import (
	"syscall"
	"unsafe"
)

// allocate returns room for n blocks, all zero, that the garbage collector knows nothing of: hundreds of megabytes that are kept for hours would have it let as much again go to
// waste. free gives it back. Where the system has no such room, it is the collector's.
func allocate(n int) (blocks [][blockSize / 8]uint64, free func()) {
	b, err := syscall.Mmap(-1, 0, n*blockSize, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return make([][blockSize / 8]uint64, n), func() {}
	}
	advise(b)
	return unsafe.Slice((*[blockSize / 8]uint64)(unsafe.Pointer(unsafe.SliceData(b))), n), func() {
		if err := syscall.Munmap(b); err != nil {
			panic(err) // it is not what Mmap returned
		}
	}
}
