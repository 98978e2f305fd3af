package store

import (
	"context"
	"fmt"
	"time"
)

const (
	// MaxInfo is the largest GroupInfo, bytes.
	MaxInfo = 4 << 20
	// MaxChange is how many members one Commit can add and remove together, and how many Welcomes it can carry.
	MaxChange = 2048
)

// NewGroup is a group that is to be: an id of 1 to MaxGroup bytes, and a founder, who is its only member.
type NewGroup struct {
	ID      string
	Founder Identity
	Epoch   uint64
	Info    []byte // the GroupInfo of the epoch, at most MaxInfo bytes; may be empty
}

// Group describes a group. Its log holds the sequence numbers above First up to Last.
type Group struct {
	ID          string
	Founder     Identity
	Epoch       uint64
	Members     int
	First, Last uint64
	Info        []byte
}

// Member is one member of a group. It reads what is above Joined.
type Member struct {
	Identity             Identity
	Joined, Acknowledged uint64
}

// Post is a message of one member for all. Expires and Blobs are as in Message.
type Post struct {
	Group   string
	Sender  Identity
	ID      MessageID
	Payload []byte
	Expires time.Time
	Blobs   []BlobID
	// Epoch is the epoch that the message is for. If Current is set, as for a proposal, it must be the group's.
	Epoch   uint64
	Current bool
}

// Commit is a commit with all that happens if it wins, in one atomic step (RFC 9420 section 14, requirements 1 and 3).
type Commit struct {
	Group   string
	Sender  Identity // a member, or one of Added: an external commit
	Epoch   uint64   // the epoch that it was made in; the group is in Epoch+1 afterwards
	ID      MessageID
	Payload []byte // the commit itself, for the group's log
	// Welcomes go to the inboxes, or other queues that are not shared, of members that are added.
	Welcomes []Message
	// Added read what comes after this commit; one that is a member already reads on as one who is new. Removed read up to this commit and
	// nothing after it; they are listed as members no more. Who is in both was replaced by itself: it is as if it were in Added only.
	Added, Removed []Identity
	Info           []byte // the GroupInfo of the new epoch, in place of the old
	// Replaces, if it is not 0, is the place in the log of the last commit, which this one takes the place of (requirement 5): Epoch is the one that both were made
	// in, and the group stays in the next one. The roster first becomes what it was before that commit: who was added by it reads up to this one, and who was
	// removed by it reads on.
	Replaces uint64
}

// EpochError says that a commit lost: the group is in another epoch than it was made in. It is ErrEpoch.
type EpochError struct{ Current uint64 }

func (e *EpochError) Error() string {
	return fmt.Sprintf("store: the group is in epoch %d", e.Current)
}

// Is makes errors.Is(err, ErrEpoch) true.
func (e *EpochError) Is(target error) bool { return target == ErrEpoch }

// Groups are logs with many readers: a message is stored once, and each member has a cursor. A member reads with Read, acknowledges with
// Acknowledge, finds with Queues and hears of by Watch what QueueID{Owner: member, Group: id, Shared: true} names. What every member has acknowledged,
// and what has expired, is removed in time.
type Groups interface {
	// CreateGroup makes a group, durable when it returns. Errors: ErrExists, ErrInvalid, ErrTooLarge, ErrQuota (the founder is in too many
	// groups), ErrFull, ErrFailed, ErrClosed.
	CreateGroup(ctx context.Context, g NewGroup) error

	// Commit does all that c says if the group is in c.Epoch, and nothing else: what it says is there after a crash whole or not at all, and
	// nothing of it is seen before it is durable. The Result is Stored with the commit's place in the log; or Duplicate, if this id was stored
	// there before, whatever the epoch; or QuotaExceeded, if the log or a Welcome's queue is full; or NoBlob, if a blob of a Welcome is not there. A
	// Welcome that its queue holds or held already is left out. Errors: *EpochError (also if Replaces is not the last commit), ErrNotMember, ErrNotFound (no such group), ErrInvalid (a Welcome to a
	// shared queue, one to be removed who is no member), ErrQuota (one of Added is in too many groups, or the group would be too large),
	// ErrTooLarge, ErrFull, ErrFailed, ErrClosed.
	Commit(ctx context.Context, c Commit) (Result, error)

	// LastCommit tells of the commit that led to the group's epoch. Errors: ErrNotFound (no such group, or no commit in it, or none since its engine keeps this),
	// ErrInvalid, ErrCorrupt, ErrClosed.
	LastCommit(ctx context.Context, id string) (Change, error)

	// Append stores posts in order, each standing alone, and returns a result for each, as Enqueue does.
	Append(ctx context.Context, posts []Post) ([]Result, error)

	// Group describes a group. Errors: ErrNotFound, ErrCorrupt, ErrClosed.
	Group(ctx context.Context, id string) (Group, error)

	// Member describes one member of a group. Errors: ErrNotFound, ErrNotMember, ErrInvalid, ErrCorrupt, ErrClosed.
	Member(ctx context.Context, id string, who Identity) (Member, error)

	// Members lists a group's members in byte order, from the first at or above from, at most max. Errors: ErrNotFound, ErrInvalid, ErrClosed.
	Members(ctx context.Context, id string, from Identity, max int) (members []Member, more bool, err error)
}
