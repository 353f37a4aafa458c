package capycoin

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/capycoin/capycoin/internal/wire"
)

const (
	maxStipendDays = 365
	microsPerDay   = int64(24 * time.Hour / time.Microsecond)
	maxDay         = wire.MaxTime / uint64(microsPerDay)
)

func dayOf(micros int64) int64 { return micros / microsPerDay }

// stipendTerms are the rules of a stipend as its record has them.
type stipendTerms struct {
	Window, MinAge int   // days
	Cap            int64 // 0: there is none
}

// share is what each of some payees gets of funds: a whole number of coins.
func (r *stipendTerms) share(funds, payees int64) int64 {
	if payees == 0 {
		return 0
	}
	share := funds / payees
	if r.Cap > 0 {
		share = min(share, r.Cap)
	}
	return share
}

// stipendRecord begins the payment of a day's stipend: to so many accounts, as the
// transfers that follow.
type stipendRecord struct {
	day    int64  // since 1970
	before uint64 // position of the last record before that day
	rules  stipendTerms
	payees int64
	funds  int64 // of the account of the fees, before
	share  int64
	hash   [sha256.Size]byte // of the payees
}

func (s *stipendRecord) kind() byte    { return kindStipend }
func (s *stipendRecord) version() byte { return 1 }

func (s *stipendRecord) append(b []byte, position uint64) []byte {
	b = binary.AppendUvarint(b, uint64(s.day))
	b = wire.AppendBack(b, position, s.before)
	b = binary.AppendUvarint(b, uint64(s.rules.Window))
	b = binary.AppendUvarint(b, uint64(s.rules.MinAge))
	b = binary.AppendUvarint(b, uint64(s.rules.Cap))
	b = binary.AppendUvarint(b, uint64(s.payees))
	b = binary.AppendUvarint(b, uint64(s.funds))
	b = binary.AppendUvarint(b, uint64(s.share))
	return append(b, s.hash[:]...)
}

func (s *stipendRecord) decode(d *wire.Decoder, h *header, _ byte) {
	s.day = int64(d.Uvarint(maxDay))
	s.before = d.Back(h.position)
	s.rules.Window = int(d.Uvarint(maxStipendDays))
	s.rules.MinAge = int(d.Uvarint(maxStipendDays))
	s.rules.Cap = int64(d.Uvarint(maxCoins))
	s.payees = int64(d.Uvarint(wire.MaxPosition))
	s.funds = int64(d.Uvarint(maxCoins))
	s.share = int64(d.Uvarint(maxCoins))
	copy(s.hash[:], d.Bytes(sha256.Size))
	d.Check(s.before > 0 && s.rules.Window > 0 && s.rules.MinAge > 0 && s.payees > 0 && s.share > 0 &&
		s.share == s.rules.share(s.funds, s.payees) && s.day == dayOf(h.time))
}

func (s *stipendRecord) line(c *lineCodec, h *header) {
	s.day = int64(c.integer("day", uint64(s.day), 0, maxDay))
	s.before = c.integer("before", s.before, 1, h.position-1)
	s.rules.Window = int(c.integer("window", uint64(s.rules.Window), 1, maxStipendDays))
	s.rules.MinAge = int(c.integer("min_age", uint64(s.rules.MinAge), 1, maxStipendDays))
	c.coins("cap", &s.rules.Cap, 0)
	s.payees = int64(c.integer("payees", uint64(s.payees), 1, wire.MaxPosition))
	c.coins("funds", &s.funds, 0)
	c.coins("share", &s.share, 1)
	c.hex("payees_sha256", s.hash[:])
}
