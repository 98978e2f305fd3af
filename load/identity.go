package load

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"

	"quicnprotochat/certs"
	"quicnprotochat/client"
)

// derive makes 32 bytes for the use `what` number i of the run, the same in each of its processes.
func (c *Config) derive(what string, i uint64) [32]byte {
	b := append(append([]byte{}, c.Key[:]...), what...)
	return sha256.Sum256(binary.BigEndian.AppendUint64(b, i))
}

// identity is the key of the run's client number i.
func (c *Config) identity(i int) ed25519.PrivateKey {
	seed := c.derive("identity", uint64(i))
	return ed25519.NewKeyFromSeed(seed[:])
}

func (c *Config) identityOf(i int) certs.Identity { return certs.IdentityOf(c.identity(i)) }

const groupIDSize = 16

// group is the id of the run's group number i.
func (c *Config) group(i int) string {
	id := c.derive("group", uint64(i))
	return string(id[:groupIDSize])
}

// ids makes message ids that no other of the run's senders makes.
type ids struct{ r *rand.ChaCha8 }

func (c *Config) newIDs(sender int) ids {
	return ids{rand.NewChaCha8(c.derive("ids", uint64(sender)))}
}

func (g ids) next() (id client.MessageID) {
	_, _ = g.r.Read(id[:])
	return id
}

// rng is the source of sizes and gaps of a sender: of the seed, so that a later run repeats them.
func (c *Config) rng(sender int) *rand.Rand { return rand.New(rand.NewPCG(c.Seed, uint64(sender))) }
