package record

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/wire"
)

const (
	MaxStipendDays = 365
	MicrosPerDay   = int64(24 * time.Hour / time.Microsecond)
	maxDay         = wire.MaxTime / uint64(MicrosPerDay)
)

func DayOf(micros int64) int64 { return micros / MicrosPerDay }

// StipendRules are the rules of a stipend as its record has them.
type StipendRules struct {
	Window, MinAge int   // days
	Cap            int64 // 0: there is none
}

// Share is what each of some payees gets of funds: a whole number of coins.
func (r *StipendRules) Share(funds, payees int64) int64 {
	if payees == 0 {
		return 0
	}
	share := funds / payees
	if r.Cap > 0 {
		share = min(share, r.Cap)
	}
	return share
}

// KindStipend is the kind of a [Stipend].
const KindStipend Kind = 10

// Stipend begins the payment of a day's stipend: to so many accounts, as the
// transfers that follow.
//
//	day uvarint (since 1970) · how many positions back the last record
//	before that day is, uvarint · window and age in days, cap (0: none),
//	number of payees, funds of the fee account, share, all uvarint ·
//	hash of the payees 32
type Stipend struct {
	Day    int64  // since 1970
	Before uint64 // position of the last record before that day
	Rules  StipendRules
	Payees int64
	Funds  int64 // of the account of the fees, before
	Share  int64
	Hash   [sha256.Size]byte // of the payees
}

func (s *Stipend) Kind() Kind    { return KindStipend }
func (s *Stipend) version() byte { return 1 }

func (s *Stipend) append(b []byte, position uint64) []byte {
	b = binary.AppendUvarint(b, uint64(s.Day))
	b = wire.AppendBack(b, position, s.Before)
	b = binary.AppendUvarint(b, uint64(s.Rules.Window))
	b = binary.AppendUvarint(b, uint64(s.Rules.MinAge))
	b = binary.AppendUvarint(b, uint64(s.Rules.Cap))
	b = binary.AppendUvarint(b, uint64(s.Payees))
	b = binary.AppendUvarint(b, uint64(s.Funds))
	b = binary.AppendUvarint(b, uint64(s.Share))
	return append(b, s.Hash[:]...)
}

func (s *Stipend) decode(d *wire.Decoder, h *Header, _ byte) {
	s.Day = int64(d.Uvarint(maxDay))
	s.Before = d.Back(h.Position)
	s.Rules.Window = int(d.Uvarint(MaxStipendDays))
	s.Rules.MinAge = int(d.Uvarint(MaxStipendDays))
	s.Rules.Cap = int64(d.Uvarint(wire.MaxCoins))
	s.Payees = int64(d.Uvarint(wire.MaxPosition))
	s.Funds = int64(d.Uvarint(wire.MaxCoins))
	s.Share = int64(d.Uvarint(wire.MaxCoins))
	copy(s.Hash[:], d.Bytes(sha256.Size))
	d.Check(s.Before > 0 && s.Rules.Window > 0 && s.Rules.MinAge > 0 && s.Payees > 0 && s.Share > 0 &&
		s.Share == s.Rules.Share(s.Funds, s.Payees) && s.Day == DayOf(h.Time))
}

func (s *Stipend) line(c *lineCodec, h *Header) {
	s.Day = int64(c.integer("day", uint64(s.Day), 0, maxDay))
	s.Before = c.integer("before", s.Before, 1, h.Position-1)
	s.Rules.Window = int(c.integer("window", uint64(s.Rules.Window), 1, MaxStipendDays))
	s.Rules.MinAge = int(c.integer("min_age", uint64(s.Rules.MinAge), 1, MaxStipendDays))
	c.coins("cap", &s.Rules.Cap, 0)
	s.Payees = int64(c.integer("payees", uint64(s.Payees), 1, wire.MaxPosition))
	c.coins("funds", &s.Funds, 0)
	c.coins("share", &s.Share, 1)
	c.hex("payees_sha256", s.Hash[:])
}

// payeesDomain is what the hash of payees begins with.
const payeesDomain = "capycoin/stipend/v1\n"

// NewPayeeHash returns the hash of payees, to which their ids are written in order of
// opening.
func NewPayeeHash() hash.Hash {
	h := sha256.New()
	h.Write([]byte(payeesDomain))
	return h
}

// HashPayees returns the hash of payees.
func HashPayees(payees []uuid.UUID) (sum [sha256.Size]byte) {
	h := NewPayeeHash()
	for i := range payees {
		h.Write(payees[i][:])
	}
	h.Sum(sum[:0])
	return sum
}
