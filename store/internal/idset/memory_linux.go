package idset

import "syscall"

const madvHugepage = 14 // Linux's MADV_HUGEPAGE, which package syscall lacks

// advise asks for large pages: who looks up ids at random would else wait for the tables of small ones. It is only a wish.
func advise(b []byte) { _ = syscall.Madvise(b, madvHugepage) }
