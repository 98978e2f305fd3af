package client

import (
	"bytes"
	"context"
	"errors"
	"time"

	bolt "go.etcd.io/bbolt"

	"quicnprotochat/mls"
)

// maxLastResort bounds the private halves kept of last-resort KeyPackages beside the one in use: whoever claims that makes us replace it.
const maxLastResort = 8

// lastResortRecord says how it stands with a last-resort KeyPackage, whose private half serves more than one Welcome.
type lastResortRecord struct {
	Made      time.Time `json:"made"`
	Published bool      `json:"published,omitempty"` // the server said that it has it
	Used      bool      `json:"used,omitempty"`      // it was handed out: another is to take its place
	Until     time.Time `json:"until,omitzero"`      // another took its place: when its private half goes
}

// current says whether this one is what the server hands out.
func (r *lastResortRecord) current() bool { return r.Published && r.Until.IsZero() }

// renewLastResort publishes a last-resort KeyPackage if the server has none, or one that was used. The private half of the one before is kept for Welcomes that
// are on their way.
func (a *Account) renewLastResort(ctx context.Context, s keyServer, pool PoolStatus) error {
	a.renewing.Lock()
	defer a.renewing.Unlock()
	needed := true
	for _, p := range pool.Suites {
		needed = needed && (p.Suite != suite || !p.LastResort)
	}
	err := a.state.view(func(tx *bolt.Tx) error {
		return eachLastResort(tx, func(_ []byte, r *lastResortRecord) bool {
			needed = needed || r.Used && r.Until.IsZero()
			return false
		})
	})
	if err != nil || !needed {
		return err
	}
	var fresh, public []byte
	err = a.state.update(func(tx *bolt.Tx) (err error) {
		if err := pruneLastResort(tx); err != nil {
			return err
		}
		if fresh, public, err = a.newKeyPackage(tx, mls.KeyPackageOptions{LastResort: true}); err != nil {
			return err
		}
		return putJSON(tx.Bucket(bucketLastResort), fresh, lastResortRecord{Made: time.Now().UTC()})
	})
	if err != nil {
		return err
	}
	if _, err := s.UploadKeyPackages(ctx, [][]byte{public}); err != nil {
		return err // perhaps the server has it all the same: its private half stays
	}
	return a.state.update(func(tx *bolt.Tx) error {
		until := time.Now().Add(lateWelcome).UTC()
		return eachLastResort(tx, func(ref []byte, r *lastResortRecord) bool {
			switch {
			case bytes.Equal(ref, fresh):
				r.Published = true
			case r.Until.IsZero():
				r.Until = until
			default:
				return false
			}
			return true
		})
	})
}

// eachLastResort calls f with each record, and saves those of which f says that it changed them.
func eachLastResort(tx *bolt.Tx, f func(ref []byte, r *lastResortRecord) (changed bool)) error {
	b := tx.Bucket(bucketLastResort)
	changed := make(map[string]lastResortRecord)
	err := b.ForEach(func(ref, _ []byte) error {
		var r lastResortRecord
		if _, err := getJSON(b, ref, &r); err != nil {
			return err
		}
		if f(ref, &r) {
			changed[string(ref)] = r
		}
		return nil
	})
	for ref, r := range changed {
		err = errors.Join(err, putJSON(b, []byte(ref), r))
	}
	return err
}

// lastResortUsed notes that the published one was handed out.
func lastResortUsed(tx *bolt.Tx) error {
	return eachLastResort(tx, func(_ []byte, r *lastResortRecord) bool {
		r.Used = true
		return r.Until.IsZero()
	})
}

// useKeyPackage deletes the private half of a single-use KeyPackage (requirement 22), and notes that one of last resort is to be replaced.
func useKeyPackage(tx *bolt.Tx, ref []byte) error {
	var r lastResortRecord
	last, err := getJSON(tx.Bucket(bucketLastResort), ref, &r)
	switch {
	case err != nil:
		return err
	case !last:
		return tx.Bucket(bucketKeyPackages).Delete(ref)
	}
	r.Used = true
	return putJSON(tx.Bucket(bucketLastResort), ref, r)
}

// pruneLastResort makes room for one: those go that were replaced long ago, and the oldest if there are too many. The one in use stays.
func pruneLastResort(tx *bolt.Tx) error {
	now := time.Now()
	var gone [][]byte
	var oldest []byte
	var made time.Time
	others := 0
	err := eachLastResort(tx, func(ref []byte, r *lastResortRecord) bool {
		switch {
		case r.current():
		case !r.Until.IsZero() && r.Until.Before(now):
			gone = append(gone, append([]byte(nil), ref...))
		default:
			if others++; oldest == nil || r.Made.Before(made) {
				oldest, made = append([]byte(nil), ref...), r.Made
			}
		}
		return false
	})
	if others >= maxLastResort {
		gone = append(gone, oldest)
	}
	for _, ref := range gone {
		err = errors.Join(err, tx.Bucket(bucketLastResort).Delete(ref), tx.Bucket(bucketKeyPackages).Delete(ref))
	}
	return err
}
