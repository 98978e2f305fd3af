// Package integration holds the tests that run the real programs against each other: one file a behaviour. It has no code of its own.
package integration
