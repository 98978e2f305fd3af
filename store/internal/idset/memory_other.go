//go:build !unix

package idset

// allocate returns room for n blocks, all zero.
func allocate(n int) ([]block, error) { return make([]block, n), nil }

// free takes what allocate returned, of which nobody may hold a part any more.
func free([]block) {}
