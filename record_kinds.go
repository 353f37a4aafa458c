package capycoin

import "github.com/capycoin/capycoin/internal/wire"

// body is what a record of a kind says, beside a transfer. A kind is one file here, with
// its bytes and its line of an export.
type body interface {
	kind() byte
	// version is the least that has a place for all that is in it.
	version() byte
	// append appends the bytes of the record at a position.
	append(b []byte, position uint64) []byte
	// decode takes them, and sets every field.
	decode(d *wire.Decoder, h *header, version byte)
	// line is the line of an export, which it writes or reads.
	line(c *lineCodec, h *header)
}

// kinds are all kinds of records, by their numbers.
var kinds = [...]struct {
	name     string      // in an export
	versions byte        // the newest version of the body
	body     func() body // nil: a transfer, which lies in the record
}{
	kindGenesis:    {"genesis", 2, func() body { return new(genesisRecord) }},
	kindAccount:    {"account", 2, func() body { return new(accountRecord) }},
	kindTransfer:   {"transfer", 2, nil},
	kindToken:      {"token", 1, func() body { return new(tokenRecord) }},
	kindRevocation: {"revocation", 1, func() body { return new(revocationRecord) }},
	kindInvite:     {"invite", 1, func() body { return new(inviteRecord) }},
	kindInviteEnd:  {"invite_end", 1, func() body { return new(inviteEndRecord) }},
	kindKey:        {"key", 1, func() body { return new(keyRecord) }},
	kindFeePolicy:  {"fee_policy", 1, func() body { return new(feePolicyRecord) }},
	kindStipend:    {"stipend", 1, func() body { return new(stipendRecord) }},
}
