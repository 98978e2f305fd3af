package store

import "fmt"

// CheckMessages returns ErrInvalid or ErrTooLarge for the first message that breaks a limit of the interface. For engines.
func CheckMessages(messages []Message) error {
	for i := range messages {
		m := &messages[i]
		if err := CheckGroup(m.Queue.Group); err != nil {
			return err
		}
		if m.Queue.Shared {
			return fmt.Errorf("%w: message %d is for a shared queue, whose messages are posts", ErrInvalid, i)
		}
		if len(m.Blobs) > MaxBlobs {
			return fmt.Errorf("%w: message %d holds on to %d blobs, %d allowed", ErrInvalid, i, len(m.Blobs), MaxBlobs)
		}
		if len(m.Payload) == 0 {
			return fmt.Errorf("%w: message %d is empty", ErrInvalid, i)
		}
		if len(m.Payload) > MaxPayload {
			return fmt.Errorf("%w: message %d has %d bytes, %d allowed", ErrTooLarge, i, len(m.Payload), MaxPayload)
		}
	}
	return nil
}

// CheckGroup returns ErrInvalid if group is longer than MaxGroup bytes.
func CheckGroup(group string) error {
	if len(group) > MaxGroup {
		return fmt.Errorf("%w: group id of %d bytes, %d allowed", ErrInvalid, len(group), MaxGroup)
	}
	return nil
}

// CheckKeyPackages returns ErrInvalid or ErrTooLarge for the first package that breaks a limit of the interface. For engines.
func CheckKeyPackages(packages []KeyPackage) error {
	for i := range packages {
		switch n := len(packages[i].Data); {
		case n == 0:
			return fmt.Errorf("%w: KeyPackage %d is empty", ErrInvalid, i)
		case n > MaxKeyPackage:
			return fmt.Errorf("%w: KeyPackage %d has %d bytes, %d allowed", ErrTooLarge, i, n, MaxKeyPackage)
		case packages[i].NotAfter.Unix() <= 0:
			return fmt.Errorf("%w: KeyPackage %d has no end of lifetime", ErrInvalid, i)
		}
	}
	return nil
}

// CheckKey returns ErrInvalid for what cannot be the key of a record. For engines.
func CheckKey(key string) error {
	if len(key) == 0 || len(key) > MaxKey {
		return fmt.Errorf("%w: key of %d bytes, 1 to %d allowed", ErrInvalid, len(key), MaxKey)
	}
	return nil
}

// CheckChunk returns ErrInvalid for a chunk whose blob cannot be so large, or that does not fit in it. For engines.
func CheckChunk(c *Chunk) error {
	switch {
	case c.Size == 0 || c.Size > MaxBlob:
		return fmt.Errorf("%w: a blob of %d bytes, 1 to %d allowed", ErrInvalid, c.Size, MaxBlob)
	case int64(c.Index) >= int64(Chunks(c.Size)):
		return fmt.Errorf("%w: chunk %d of a blob of %d bytes", ErrInvalid, c.Index, c.Size)
	case len(c.Data) != ChunkLength(c.Size, int(c.Index)):
		return fmt.Errorf("%w: chunk %d of %d bytes, want %d", ErrInvalid, c.Index, len(c.Data), ChunkLength(c.Size, int(c.Index)))
	}
	return nil
}
