//go:build !unix

package idset

func allocate(n int) (blocks [][blockSize / 8]uint64, free func()) {
	return make([][blockSize / 8]uint64, n), func() {}
}
