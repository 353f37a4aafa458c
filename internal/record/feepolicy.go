package record

import (
	"encoding/binary"
	"fmt"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/wire"
)

// The bounds of a fee policy: how many accounts it can exempt, and its basis points.
const (
	MaxFeeExempt   = 64
	MaxBasisPoints = 10_000

	// MaxFeePolicyLen bounds the record of one.
	MaxFeePolicyLen = HeaderLen + 4*8 + 1 + 16*MaxFeeExempt
)

// KindFeePolicy is the kind of a [FeePolicy].
const KindFeePolicy Kind = 9

// FeePolicy sets a fee policy: exempt accounts ascend, each is there once.
//
//	flat, basis points, minimum, maximum (0: none), all uvarint ·
//	number of exempt accounts 1 · their ids 16, ascending
type FeePolicy struct {
	Flat        int64
	BasisPoints int
	Min, Max    int64 // Max 0: there is none
	Exempt      []uuid.UUID
}

func (p *FeePolicy) Kind() Kind    { return KindFeePolicy }
func (p *FeePolicy) version() byte { return 1 }

func (p *FeePolicy) append(b []byte, _ uint64) []byte {
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

func (p *FeePolicy) decode(d *wire.Decoder, _ *Header, _ byte) {
	p.Flat = int64(d.Uvarint(wire.MaxCoins))
	p.BasisPoints = int(d.Uvarint(MaxBasisPoints))
	p.Min = int64(d.Uvarint(wire.MaxCoins))
	p.Max = int64(d.Uvarint(wire.MaxCoins))
	n := d.Byte()
	p.Exempt = nil // the last one's may be in force
	for range n {
		p.Exempt = append(p.Exempt, d.ID())
	}
	d.Check(n <= MaxFeeExempt && (p.Max == 0 || p.Min <= p.Max) && ascending(p.Exempt))
}

func (p *FeePolicy) line(c *lineCodec, _ *Header) {
	c.coins("flat", &p.Flat, 0)
	p.BasisPoints = int(c.integer("basis_points", uint64(p.BasisPoints), 0, MaxBasisPoints))
	c.coins("min", &p.Min, 0)
	c.coins("max", &p.Max, 0)
	c.ids("exempt", &p.Exempt, MaxFeeExempt)
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

// OutOfRange names a field that is out of range.
type OutOfRange struct {
	Field   string
	Value   any
	Allowed string // in words
}

func (e *OutOfRange) Error() string {
	return fmt.Sprintf("capycoin: option %s is %v, allowed is %s", e.Field, e.Value, e.Allowed)
}

// Check returns the first field that is out of range in a ledger with a supply, or nil.
func (p *FeePolicy) Check(supply int64) *OutOfRange {
	upTo := fmt.Sprintf("0 to the supply of %d", supply)
	switch {
	case p.Flat < 0 || p.Flat > supply:
		return &OutOfRange{"Flat", p.Flat, upTo}
	case p.BasisPoints < 0 || p.BasisPoints > MaxBasisPoints:
		return &OutOfRange{"BasisPoints", p.BasisPoints, "0 to 10000"}
	case p.Min < 0 || p.Min > supply:
		return &OutOfRange{"Min", p.Min, upTo}
	case p.Max < 0 || p.Max > supply:
		return &OutOfRange{"Max", p.Max, upTo}
	case p.Max > 0 && p.Min > p.Max:
		return &OutOfRange{"Min", p.Min, fmt.Sprintf("0 to the highest fee, which is %d", p.Max)}
	case len(p.Exempt) > MaxFeeExempt:
		return &OutOfRange{"Exempt", len(p.Exempt), fmt.Sprintf("at most %d accounts", MaxFeeExempt)}
	}
	return nil
}
