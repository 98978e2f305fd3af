package store

import (
	"fmt"
	"math"
)

// CheckGroupID returns ErrInvalid for what cannot be the id of a group: nothing, or more than MaxGroup bytes. For engines.
func CheckGroupID(id string) error {
	if id == "" {
		return fmt.Errorf("%w: group without an id", ErrInvalid)
	}
	return CheckGroup(id)
}

// CheckInfo returns ErrTooLarge for a GroupInfo above MaxInfo. For engines.
func CheckInfo(info []byte) error {
	if len(info) > MaxInfo {
		return fmt.Errorf("%w: GroupInfo of %d bytes, %d allowed", ErrTooLarge, len(info), MaxInfo)
	}
	return nil
}

// CheckPosts returns ErrInvalid or ErrTooLarge for the first post that breaks a limit of the interface. For engines.
func CheckPosts(posts []Post) error {
	for i := range posts {
		p := &posts[i]
		if err := CheckGroupID(p.Group); err != nil {
			return err
		}
		m := [1]Message{{Payload: p.Payload, Blobs: p.Blobs}}
		if err := CheckMessages(m[:]); err != nil {
			return fmt.Errorf("post %d: %w", i, err)
		}
	}
	return nil
}

// CheckCommit returns ErrInvalid or ErrTooLarge for a commit that breaks a limit of the interface. For engines.
func CheckCommit(c *Commit) error {
	if err := CheckGroupID(c.Group); err != nil {
		return err
	}
	if err := CheckInfo(c.Info); err != nil {
		return err
	}
	if err := CheckMessages([]Message{{Payload: c.Payload}}); err != nil {
		return err
	}
	if err := CheckMessages(c.Welcomes); err != nil {
		return err
	}
	switch {
	case len(c.Added)+len(c.Removed) > MaxChange || len(c.Welcomes) > MaxChange:
		return fmt.Errorf("%w: a commit that adds %d, removes %d and welcomes %d, %d allowed", ErrInvalid, len(c.Added), len(c.Removed), len(c.Welcomes), MaxChange)
	case c.Epoch == math.MaxUint64:
		return fmt.Errorf("%w: there is no epoch after %d", ErrInvalid, c.Epoch)
	}
	return nil
}
