package record

import (
	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/wire"
)

// Kind says what a record is about.
type Kind byte

// Body is what a record of a kind says, beside a transfer. A kind is one file here, with
// its bytes and its line of an export.
type Body interface {
	// Kind is which it is.
	Kind() Kind
	// version is the least that has a place for all that is in it.
	version() byte
	// append appends the bytes of the record at a position.
	append(b []byte, position uint64) []byte
	// decode takes them, and sets every field.
	decode(d *wire.Decoder, h *Header, version byte)
	// line is the line of an export, which it writes or reads.
	line(c *lineCodec, h *Header)
}

// kinds are all kinds of records, by their numbers.
var kinds = [...]struct {
	name     string      // in an export
	versions byte        // the newest version of the body
	accounts int         // how many ids of accounts the body begins with
	body     func() Body // nil: a transfer, which lies in the record
}{
	KindGenesis:    {"genesis", 2, 0, func() Body { return new(Genesis) }},
	KindAccount:    {"account", 2, 1, func() Body { return new(Account) }},
	KindTransfer:   {"transfer", 2, 2, nil},
	KindToken:      {"token", 1, 1, func() Body { return new(Token) }},
	KindRevocation: {"revocation", 1, 1, func() Body { return new(Revocation) }},
	KindInvite:     {"invite", 1, 0, func() Body { return new(Invite) }},
	KindInviteEnd:  {"invite_end", 1, 0, func() Body { return new(InviteEnd) }},
	KindKeyChange:  {"key", 1, 1, func() Body { return new(KeyChange) }},
	KindFeePolicy:  {"fee_policy", 1, 0, func() Body { return new(FeePolicy) }},
	KindStipend:    {"stipend", 1, 0, func() Body { return new(Stipend) }},
}

// Kinds is one more than the highest kind: how long a table of kinds is.
const Kinds = len(kinds)

// LeadingAccounts returns the ids with which the body of a damaged record begins, going
// by what it says that its kind is.
func LeadingAccounts(b []byte) (ids []uuid.UUID) {
	if len(b) < HeaderLen || int(b[0]) >= len(kinds) {
		return nil
	}
	rest := b[HeaderLen:]
	for range kinds[b[0]].accounts {
		if len(rest) < 16 {
			break
		}
		ids = append(ids, uuid.UUID(rest[:16]))
		rest = rest[16:]
	}
	return ids
}
