package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"quicnprotochat/mls"
)

const (
	// PoolSize is how many single-use KeyPackages an account keeps published, once it has published any.
	PoolSize = 20
	// MaxPublish is the most KeyPackages that are published at a time.
	MaxPublish = 256
	// lateWelcome is how long a Welcome may be on its way: as long as the server keeps a message (docs/protocol.md).
	lateWelcome = 30 * 24 * time.Hour
)

// PublishKeyPackages makes n fresh single-use KeyPackages (1 to MaxPublish), saves their private halves, and uploads them; it returns how many the pool then has.
// Before that it sees to it that a last-resort one stands behind them, and a new one if the last was used (requirement 11).
func (a *Account) PublishKeyPackages(ctx context.Context, s *Session, n int) (available int, err error) {
	if n < 1 || n > MaxPublish {
		return 0, fmt.Errorf("%w: %d KeyPackages: 1 to %d at a time", ErrInvalid, n, MaxPublish)
	}
	pool, err := s.PoolStatus(ctx)
	if err != nil {
		return 0, err
	}
	return a.publish(ctx, s, pool, n)
}

// keyServer is what publishing needs of a Session.
type keyServer interface {
	PoolStatus(ctx context.Context) (PoolStatus, error)
	UploadKeyPackages(ctx context.Context, packages [][]byte) (available int, err error)
}

func (a *Account) publish(ctx context.Context, s keyServer, pool PoolStatus, n int) (available int, err error) {
	if err := a.renewLastResort(ctx, s, pool); err != nil {
		return 0, err
	}
	packages := make([][]byte, n)
	err = a.state.update(func(tx *bolt.Tx) error {
		if err := prune(tx); err != nil {
			return err
		}
		for i := range packages {
			if _, packages[i], err = a.newKeyPackage(tx, mls.KeyPackageOptions{}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return s.UploadKeyPackages(ctx, packages)
}

// newKeyPackage makes one, and saves its private half.
func (a *Account) newKeyPackage(tx *bolt.Tx, opts mls.KeyPackageOptions) (ref, public []byte, err error) {
	b, err := mls.NewKeyPackage(a.mlsID, opts)
	if err != nil {
		return nil, nil, err
	}
	defer b.Wipe()
	secret, err := b.MarshalBinary()
	if err != nil {
		return nil, nil, err
	}
	ref = b.Ref()
	return ref, b.Public(), tx.Bucket(bucketKeyPackages).Put(ref, secret)
}

// refill publishes KeyPackages when few are left, now or when the server says so (requirement 16), until ctx ends. What fails is tried again when the server says so again.
// What comes from low says whether the last-resort one was used.
func (a *Account) refill(ctx context.Context, s keyServer, low <-chan bool) {
	for used := false; ; {
		if err := a.fill(ctx, s, used); err != nil && ctx.Err() == nil {
			a.log.Warn("no KeyPackages were published, and few are left", "err", err)
		}
		select {
		case used = <-low:
		case <-ctx.Done():
			return
		}
	}
}

// fill publishes what is missing, unless the account never published any.
func (a *Account) fill(ctx context.Context, s keyServer, used bool) error {
	if !a.registered() {
		return nil
	}
	if used {
		if err := a.state.update(lastResortUsed); err != nil {
			return err
		}
	}
	pool, err := s.PoolStatus(ctx)
	if err != nil {
		return err
	}
	if pool.Available >= pool.LowWater {
		return a.renewLastResort(ctx, s, pool)
	}
	_, err = a.publish(ctx, s, pool, max(1, PoolSize-pool.Available))
	return err
}

// registered says whether the account has ever published KeyPackages that nobody has used yet.
func (a *Account) registered() (yes bool) {
	err := a.state.view(func(tx *bolt.Tx) error {
		k, _ := tx.Bucket(bucketKeyPackages).Cursor().First()
		yes = k != nil
		return nil
	})
	return err == nil && yes
}

// prune drops the private halves of single-use KeyPackages that expired so long ago that no Welcome for them is on its way, and what cannot be read.
func prune(tx *bolt.Tx) error {
	last := tx.Bucket(bucketLastResort)
	var old [][]byte
	err := tx.Bucket(bucketKeyPackages).ForEach(func(ref, secret []byte) error {
		if last.Get(ref) == nil && expired(secret) {
			old = append(old, append([]byte(nil), ref...))
		}
		return nil
	})
	for _, ref := range old {
		err = errors.Join(err, tx.Bucket(bucketKeyPackages).Delete(ref))
	}
	return err
}

func expired(secret []byte) bool {
	var b mls.KeyPackageBundle
	if err := b.UnmarshalBinary(secret); err != nil {
		return true
	}
	defer b.Wipe()
	info, err := mls.InspectKeyPackage(b.Public())
	return err != nil || time.Since(info.NotAfter) > lateWelcome
}
