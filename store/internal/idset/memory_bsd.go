//go:build unix && !linux

package idset

func advise([]byte) {}
