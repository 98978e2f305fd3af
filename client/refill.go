package client

import (
	"context"

	bolt "go.etcd.io/bbolt"
)

// PoolSize is how many KeyPackages an account keeps published, once it has published any.
const PoolSize = 20

// refill publishes KeyPackages when few are left, now or when the server says so (requirement 16), until ctx ends. What fails is tried again when the server says so again.
func (a *Account) refill(ctx context.Context, s *Session, low <-chan int) {
	pool, err := s.PoolStatus(ctx)
	available := PoolSize
	if err == nil && pool.Available < pool.LowWater {
		available = pool.Available
	}
	for {
		if n := PoolSize - available; n > 0 && a.registered() {
			if _, err := a.PublishKeyPackages(ctx, s, n); err != nil && ctx.Err() == nil {
				a.log.Warn("no KeyPackages were published, and few are left", "err", err)
			}
		}
		select {
		case available = <-low:
		case <-ctx.Done():
			return
		}
	}
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
