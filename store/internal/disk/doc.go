// Package disk is what the store engines share of dealing with files: who may read them, and what happens when the disk fails.
package disk
