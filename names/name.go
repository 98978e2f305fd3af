package names

import (
	"errors"
	"fmt"
)

// MaxName is the length of the longest name, bytes.
const MaxName = 64

// The errors of this package; test with errors.Is.
var (
	// ErrInvalid says that something is not of the shape that is documented.
	ErrInvalid = errors.New("names: invalid")
	// ErrTaken says that somebody claimed the name before.
	ErrTaken = errors.New("names: the name is taken")
	// ErrRevoked says that the name was revoked, and so is nobody's for good.
	ErrRevoked = errors.New("names: the name was revoked")
	// ErrUnclaimed says that nobody claimed the name yet.
	ErrUnclaimed = errors.New("names: nobody has the name")
	// ErrVersion says that a change is not of the version that comes next.
	ErrVersion = errors.New("names: not the name's next version")
	// ErrHolder says that a change names another key than the one that holds the name.
	ErrHolder = errors.New("names: the key does not hold the name")
	// ErrSignature says that a signature of a change is wrong.
	ErrSignature = errors.New("names: wrong signature")
	// ErrClient says that a name should go to a key that another client is known by.
	ErrClient = errors.New("names: the key is of another client")
	// ErrChain says that an entry does not follow the one before it.
	ErrChain = errors.New("names: not the next entry of the log")
)

// CheckName returns ErrInvalid for what cannot be a name: it has 1 to MaxName characters out of a-z, 0-9, '.', '_' and '-', and begins and ends with a letter or
// a digit. So no two names look the same, none can be mistaken for a path or an option, and a printed identity (qnp1...) is refused, since it would pass for the key.
func CheckName(name string) error {
	if len(name) == 0 || len(name) > MaxName {
		return fmt.Errorf("%w: name of %d bytes, 1 to %d allowed", ErrInvalid, len(name), MaxName)
	}
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case (c == '.' || c == '_' || c == '-') && i > 0 && i < len(name)-1:
		default:
			return fmt.Errorf("%w: name with %q at %d", ErrInvalid, c, i)
		}
	}
	if len(name) == 62 && name[:4] == "qnp1" {
		return fmt.Errorf("%w: the name looks like an identity", ErrInvalid)
	}
	return nil
}
