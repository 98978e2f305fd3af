package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
)

// MaxSuites is how many cipher suites one call can name, and of how many suites an owner can have a last-resort package.
const MaxSuites = 16

// Suite is the cipher suite of k. It stands at bytes 2 and 3 of every KeyPackage (RFC 9420 section 10), so that it need not be stored a second time.
func (k *KeyPackage) Suite() uint16 {
	if len(k.Data) < 4 {
		return 0
	}
	return binary.BigEndian.Uint16(k.Data[2:])
}

// SuiteStatus counts an owner's KeyPackages of one suite that have not expired.
type SuiteStatus struct {
	Suite uint16
	PoolStatus
}

// SuitePools are pools of KeyPackages seen by cipher suite. Where an engine has them, a new last-resort package takes the place of the old one of its
// own suite alone.
type SuitePools interface {
	// TakeKeyPackages takes for each suite its oldest package that has not expired, or, with none left, the last-resort one of that suite, which
	// stays; a suite with neither is left out. Each suite is named once, at most MaxSuites. What is removed is removed in one step, which is on disk before it
	// returns. Errors: ErrInvalid, ErrFailed, ErrClosed.
	TakeKeyPackages(ctx context.Context, owner Identity, suites []uint16) ([]KeyPackage, error)

	// CountSuites describes the owner's pools that have something, in ascending order of suite. Errors: ErrClosed.
	CountSuites(ctx context.Context, owner Identity) ([]SuiteStatus, error)
}

// CheckSuites returns ErrInvalid for suites that TakeKeyPackages does not take. For engines.
func CheckSuites(suites []uint16) error {
	if len(suites) < 1 || len(suites) > MaxSuites {
		return fmt.Errorf("%w: %d suites, 1 to %d allowed", ErrInvalid, len(suites), MaxSuites)
	}
	for i, suite := range suites {
		if slices.Contains(suites[:i], suite) {
			return fmt.Errorf("%w: suite %d is named twice", ErrInvalid, suite)
		}
	}
	return nil
}

// AddStatus counts a package of a suite in list, which it keeps in order. For engines.
func AddStatus(list []SuiteStatus, suite uint16, last bool) []SuiteStatus {
	i, found := slices.BinarySearchFunc(list, suite, func(s SuiteStatus, suite uint16) int { return int(s.Suite) - int(suite) })
	if !found {
		list = slices.Insert(list, i, SuiteStatus{Suite: suite})
	}
	if last {
		list[i].LastResort = true
	} else {
		list[i].Available++
	}
	return list
}
