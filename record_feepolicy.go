package capycoin

import (
	"encoding/binary"
	"fmt"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/wire"
)

// MaxFeeExempt is how many accounts a fee policy can exempt.
const (
	maxFeeExempt   = 64
	maxBasisPoints = 10_000
)

// feePolicyRecord sets a fee policy: exempt accounts ascend, each is there once.
type feePolicyRecord struct {
	Flat        int64
	BasisPoints int
	Min, Max    int64 // Max 0: there is none
	Exempt      []uuid.UUID
}

func (p *feePolicyRecord) kind() byte    { return kindFeePolicy }
func (p *feePolicyRecord) version() byte { return 1 }

func (p *feePolicyRecord) append(b []byte, _ uint64) []byte {
	b = binary.AppendUvarint(b, uint64(p.Flat))
	b = binary.AppendUvarint(b, uint64(p.BasisPoints))
	b = binary.AppendUvarint(b, uint64(p.Min))
	b = binary.AppendUvarint(b, uint64(p.Max))
	b = append(b, byte(len(p.Exempt)))
	for i := range p.Exempt {
		b = append(b, p.Exempt[i][:]...)
	}
	return b
}

func (p *feePolicyRecord) decode(d *wire.Decoder, _ *header, _ byte) {
	p.Flat = int64(d.Uvarint(maxCoins))
	p.BasisPoints = int(d.Uvarint(maxBasisPoints))
	p.Min = int64(d.Uvarint(maxCoins))
	p.Max = int64(d.Uvarint(maxCoins))
	n := d.Byte()
	p.Exempt = nil // the last one's may be in force
	for range n {
		p.Exempt = append(p.Exempt, d.ID())
	}
	d.Check(n <= maxFeeExempt && (p.Max == 0 || p.Min <= p.Max) && ascending(p.Exempt))
}

func (p *feePolicyRecord) line(c *lineCodec, _ *header) {
	c.coins("flat", &p.Flat, 0)
	p.BasisPoints = int(c.integer("basis_points", uint64(p.BasisPoints), 0, maxBasisPoints))
	c.coins("min", &p.Min, 0)
	c.coins("max", &p.Max, 0)
	c.ids("exempt", &p.Exempt, maxFeeExempt)
}

// ascending says whether ids are in order, each of them once.
func ascending(ids []uuid.UUID) bool {
	for i := 1; i < len(ids); i++ {
		if wire.CompareIDs(&ids[i-1], &ids[i]) >= 0 {
			return false
		}
	}
	return true
}

// outOfRange names a field that is out of range.
type outOfRange struct {
	Field   string
	Value   any
	Allowed string // in words
}

func (e *outOfRange) Error() string {
	return fmt.Sprintf("capycoin: option %s is %v, allowed is %s", e.Field, e.Value, e.Allowed)
}

// check returns the first field that is out of range in a ledger with a supply, or nil.
func (p *feePolicyRecord) check(supply int64) *outOfRange {
	upTo := fmt.Sprintf("0 to the supply of %d", supply)
	switch {
	case p.Flat < 0 || p.Flat > supply:
		return &outOfRange{"Flat", p.Flat, upTo}
	case p.BasisPoints < 0 || p.BasisPoints > maxBasisPoints:
		return &outOfRange{"BasisPoints", p.BasisPoints, "0 to 10000"}
	case p.Min < 0 || p.Min > supply:
		return &outOfRange{"Min", p.Min, upTo}
	case p.Max < 0 || p.Max > supply:
		return &outOfRange{"Max", p.Max, upTo}
	case p.Max > 0 && p.Min > p.Max:
		return &outOfRange{"Min", p.Min, fmt.Sprintf("0 to the highest fee, which is %d", p.Max)}
	case len(p.Exempt) > maxFeeExempt:
		return &outOfRange{"Exempt", len(p.Exempt), fmt.Sprintf("at most %d accounts", maxFeeExempt)}
	}
	return nil
}
