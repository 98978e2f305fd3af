package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"quicnprotochat/store"
	"quicnprotochat/store/hotlog"
)

// storeDir is where the store is in the data directory.
const storeDir = "store"

// storeOptions are those of the store in the data directory. The key in it is to be wiped when the store is open.
func storeOptions(cfg *Config) (hotlog.Options, error) {
	key, err := readStoreKey(cfg.StoreKeyFile)
	return hotlog.Options{Dir: filepath.Join(cfg.DataDir, storeDir), Key: key, Logger: cfg.Logger}, err
}

// storeError says what an error of opening the store means to who configured it.
func storeError(err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, hotlog.ErrKey) {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return fmt.Errorf("%w: %w", ErrStore, err)
}

// openStore opens the store.
func openStore(cfg *Config) (*hotlog.Store, error) {
	options, err := storeOptions(cfg)
	if err != nil {
		return nil, err
	}
	defer clear(options.Key)
	st, err := hotlog.Open(options)
	if err != nil {
		return nil, storeError(err)
	}
	if n := st.Internals().Corrupt; n > 0 {
		cfg.Logger.Error("part of the store's log could not be read", "records", n)
	}
	return st, nil
}

// InspectStore looks at what the store in the data directory holds, while no daemon runs on it: see hotlog.Inspect. Only DataDir, StoreKeyFile and Logger count. Errors:
// ErrConfig, ErrStore, which may wrap one of package store, the context's, and those of see.
func InspectStore(ctx context.Context, cfg Config, see func(*hotlog.Item) error) (*hotlog.Summary, error) {
	options, err := storeOptions(&cfg)
	if err != nil {
		return nil, err
	}
	defer clear(options.Key)
	var stop error
	summary, err := hotlog.Inspect(ctx, options, func(item *hotlog.Item) error {
		stop = see(item)
		return stop
	})
	switch {
	case err == nil || stop != nil || ctx.Err() != nil:
		return summary, errors.Join(stop, ctx.Err())
	case errors.Is(err, store.ErrNotFound):
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return nil, storeError(err)
}
