//go:build unix

package idset

import (
	"fmt"
	"syscall"
	"unsafe"
)

// allocate returns room for n blocks, all zero, that the garbage collector knows nothing of: hundreds of megabytes that are kept for hours would have it let as much again go to
// waste. free gives it back.
func allocate(n int) ([]block, error) {
	b, err := syscall.Mmap(-1, 0, n*blockSize, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("memory for a filter: %w", err)
	}
	return unsafe.Slice((*block)(unsafe.Pointer(unsafe.SliceData(b))), n), nil
}

// free takes what allocate returned, of which nobody may hold a part any more.
func free(blocks []block) {
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(blocks))), len(blocks)*blockSize)
	if err := syscall.Munmap(b); err != nil {
		panic(err) // it is not what allocate returned
	}
}
