// Package disk is what the store engines share of dealing with files: who may read them, how large ones are written beside one that many wait for, and what happens when the disk fails.
package disk
