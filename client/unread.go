package client

import (
	"errors"

	bolt "go.etcd.io/bbolt"
)

// putUnread keeps a message until it is shown.
func putUnread(tx *bolt.Tx, m Message) error {
	var rec groupRecord
	if _, err := getJSON(tx.Bucket(bucketGroups), m.Group, &rec); err != nil {
		return err
	}
	m.Name = rec.Name
	_, err := appendJSON(tx.Bucket(bucketUnread), m)
	return err
}

// maxShown is how many messages Unread shows before it removes them.
const maxShown = 64

// unreadEntry is a message not yet shown, and its number.
type unreadEntry struct {
	key []byte
	msg Message
}

// Unread hands what was received, oldest first, to show, for one group or (group empty) for all; what show took is removed. When show
// fails, that message and those after it stay. After a crash the last 64 that were shown may be shown again.
func (a *Account) Unread(group string, show func(Message) error) error {
	for after := []byte(nil); ; {
		batch, err := a.nextUnread(group, after)
		if err != nil || len(batch) == 0 {
			return err
		}
		shown := 0
		for _, e := range batch {
			if err = show(e.msg); err != nil {
				break
			}
			shown++
		}
		if shown > 0 {
			after = batch[shown-1].key
			err = errors.Join(err, a.state.update(func(tx *bolt.Tx) error {
				b := tx.Bucket(bucketUnread)
				for _, e := range batch[:shown] {
					if err := b.Delete(e.key); err != nil {
						return err
					}
				}
				return nil
			}))
		}
		if err != nil {
			return err
		}
	}
}

// nextUnread reads the first messages behind a number.
func (a *Account) nextUnread(group string, after []byte) (batch []unreadEntry, err error) {
	err = a.state.view(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketUnread)
		c := b.Cursor()
		for k, _ := c.Seek(append(after[:len(after):len(after)], 0)); k != nil && len(batch) < maxShown; k, _ = c.Next() {
			e := unreadEntry{key: append([]byte(nil), k...)}
			if _, err := getJSON(b, k, &e.msg); err != nil {
				return err
			}
			if group == "" || string(e.msg.Group) == group {
				batch = append(batch, e)
			}
		}
		return nil
	})
	return batch, err
}

// UnreadCount is how many messages Unread would show, for one group or (group empty) for all.
func (a *Account) UnreadCount(group string) (n int, err error) {
	err = a.state.view(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketUnread)
		return b.ForEach(func(k, _ []byte) error {
			var m Message
			if _, err := getJSON(b, k, &m); err != nil {
				return err
			}
			if group == "" || string(m.Group) == group {
				n++
			}
			return nil
		})
	})
	return n, err
}
