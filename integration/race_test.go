package integration

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"quicnprotochat/certs"
	"quicnprotochat/client"
	"quicnprotochat/schemas"
)

// commitHeader is all that the service reads of a commit: the beginning of a PrivateMessage (RFC 9420 section 6.3).
func commitHeader(group string, epoch uint64) []byte {
	b := append([]byte{0, 1, 0, 2, byte(len(group))}, group...)
	b = binary.BigEndian.AppendUint64(b, epoch)
	return append(b, 3, 0, 0, 0)
}

// race is what the members of a group know together.
type race struct {
	group string
	mu    sync.Mutex
	won   map[uint64]int // who won an epoch
	wins  []int
	left  int // members who have not won yet
	done  chan struct{}
}

func (r *race) win(t *testing.T, member int, epoch uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if other, twice := r.won[epoch]; twice {
		t.Errorf("epoch %d was won by members %d and %d", epoch, other, member)
	}
	r.won[epoch] = member
	if r.wins[member]++; r.wins[member] == 1 {
		if r.left--; r.left == 0 {
			close(r.done)
		}
	}
}

// raceLength is for how long members race, beyond the time until each has won.
func raceLength(t *testing.T) time.Duration {
	text := os.Getenv("QUICNPROTOCHAT_RACE")
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestCommitRace: 64 members commit as fast as they can. One wins each epoch, everybody wins sometimes, though some connections break right after they were let first.
func TestCommitRace(t *testing.T) {
	const members = 64
	d := startInProcess(t)
	addr := d.Addr().String()
	people := make([]*person, members)
	var others []certs.Identity
	for i := range people {
		people[i] = newPerson(t)
		if i > 0 {
			others = append(others, people[i].id)
		}
	}
	r := &race{group: "a group of bytes", won: make(map[uint64]int), wins: make([]int, members), left: members, done: make(chan struct{})}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	founder := dial(t, addr, people[0])
	if err := founder.CreateGroup(ctx, r.group, 0, nil); err != nil {
		t.Fatal(err)
	}
	out, err := founder.CommitGroup(ctx, &client.GroupCommit{Group: r.group, ID: client.MessageID{1}, Message: commitHeader(r.group, 0), Added: others})
	if err != nil || out.Status != schemas.CommitStatus_accepted {
		t.Fatal(out, err)
	}
	racing, stop := context.WithCancel(ctx)
	defer stop()
	var all sync.WaitGroup
	for i, p := range people {
		all.Go(func() { r.run(racing, t, addr, i, p) })
	}
	begin := time.Now()
	select {
	case <-r.done:
	case <-ctx.Done():
		t.Errorf("%d members have won nothing in %v", r.left, time.Since(begin))
	}
	everybody := time.Since(begin)
	select {
	case <-time.After(raceLength(t) - everybody):
	case <-ctx.Done():
	}
	stop()
	all.Wait()
	r.report(t, everybody)
}

func (r *race) report(t *testing.T, everybody time.Duration) {
	members := len(r.wins)
	least, most, total := 1<<30, 0, 0
	for _, n := range r.wins {
		least, most, total = min(least, n), max(most, n), total+n
	}
	t.Logf("%d epochs; wins of a member: %d to %d; everybody had won after %v", total, least, most, everybody)
	for epoch := uint64(1); epoch <= uint64(total); epoch++ {
		if _, ok := r.won[epoch]; !ok && epoch <= uint64(total-members) { // at the end a winner may have gone before it knew
			t.Errorf("epoch %d of %d was won by nobody that knows of it", epoch, total)
		}
	}
}

// run is one member. Every seventh one's connection breaks whenever it was let first, and comes back.
func (r *race) run(ctx context.Context, t *testing.T, addr string, member int, p *person) {
	s := dial(t, addr, p)
	epoch, lost := uint64(1), 0
	for ctx.Err() == nil {
		if lost >= 3 && s.ClaimCommit(ctx, r.group) == nil && member%7 == 0 && lost < 6 {
			s.Close()
			s = dial(t, addr, p)
		}
		c := client.GroupCommit{Group: r.group, Epoch: epoch, Message: commitHeader(r.group, epoch)}
		rand.Read(c.ID[:])
		out, err := s.CommitGroup(ctx, &c)
		if err != nil {
			if ctx.Err() == nil {
				t.Errorf("member %d: %v", member, err)
			}
			return
		}
		epoch = out.Epoch
		switch out.Status {
		case schemas.CommitStatus_accepted:
			lost = 0
			r.win(t, member, c.Epoch)
		case schemas.CommitStatus_wrongEpoch, schemas.CommitStatus_slotTaken:
			lost++
		default:
			t.Errorf("member %d: %v", member, fmt.Sprint(out))
			return
		}
	}
}
