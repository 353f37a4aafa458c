package record_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/chain"
	"github.com/capycoin/capycoin/internal/example"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

func TestRecordsComeBack(t *testing.T) {
	for _, want := range example.Records() {
		b := record.Append(nil, &want)
		var got record.Record
		if err := record.Decode(&got, want.Position, b); err != nil {
			t.Fatalf("record %d: %v", want.Position, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("record %d: got %+v, want %+v", want.Position, got, want)
		}
		for at := range b {
			for bit := range 8 {
				bad := bytes.Clone(b)
				bad[at] ^= 1 << bit
				if err := record.Decode(&got, want.Position, bad); err == nil {
					t.Errorf("record %d with bit %d of byte %d flipped: got no error", want.Position, bit, at)
				}
			}
			if err := record.Decode(&got, want.Position, b[:at]); !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("record %d cut to %d bytes: got %v, want ErrCorrupt", want.Position, at, err)
			}
		}
		if err := record.Decode(&got, want.Position+1, b); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("record %d in the place of the next: got %v, want ErrCorrupt", want.Position, err)
		}
	}
}

// reseal gives a record's bytes the checksum that they should have.
func reseal(position uint64, b []byte) []byte {
	binary.BigEndian.PutUint32(b[record.CRCOffset:], record.CRC(position, b))
	return b
}

// TestRecordsOfOneMeaning has bytes with a right checksum that say something
// no record says, or say it in another way than the encoder.
func TestRecordsOfOneMeaning(t *testing.T) {
	transfer := example.Records()[2]
	change := func(f func(*record.Record)) []byte {
		r := transfer
		f(&r)
		return record.Append(nil, &r)
	}
	plain := record.Append(nil, &transfer)
	amountAt := record.HeaderLen + 32
	longer := slices.Concat(plain[:amountAt], []byte{0xac, 0x82, 0x00}, plain[amountAt+2:])
	later := bytes.Clone(plain)
	later[1] += 2
	unknown := bytes.Clone(plain)
	unknown[0] = 99
	for name, tt := range map[string]struct {
		b    []byte
		want error
	}{
		"amount 0":             {change(func(r *record.Record) { r.Transfer.Amount = 0 }), store.ErrCorrupt},
		"amount over supply":   {change(func(r *record.Record) { r.Transfer.Amount = wire.MaxCoins + 1 }), store.ErrCorrupt},
		"funds over supply":    {change(func(r *record.Record) { r.Transfer.To.Funds = wire.MaxCoins + 1 }), store.ErrCorrupt},
		"sender is receiver":   {change(func(r *record.Record) { r.Transfer.Receiver = r.Transfer.Sender }), store.ErrCorrupt},
		"ordinal 0":            {change(func(r *record.Record) { r.Transfer.To.Ordinal = 0 }), store.ErrCorrupt},
		"ordinal 2, no link":   {change(func(r *record.Record) { r.Transfer.To.Ordinal = 2 }), store.ErrCorrupt},
		"link before 1":        {change(func(r *record.Record) { r.Transfer.To.Link = chain.Link{Prev: ^uint64(0), Jump: 0, Ordinal: 2} }), store.ErrCorrupt},
		"a key with a space":   {change(func(r *record.Record) { r.Transfer.Key = "a b" }), store.ErrCorrupt},
		"a time after 9999":    {change(func(r *record.Record) { r.Time = wire.MaxTime + 1 }), store.ErrCorrupt},
		"a longer number":      {reseal(3, longer), store.ErrCorrupt},
		"a byte too many":      {reseal(3, append(bytes.Clone(plain), 0)), store.ErrCorrupt},
		"a later version":      {reseal(3, later), store.ErrNewerFormat},
		"a kind not yet known": {reseal(3, unknown), store.ErrNewerFormat},
	} {
		var r record.Record
		if err := record.Decode(&r, 3, tt.b); !errors.Is(err, tt.want) {
			t.Errorf("%s: got error %v, want %v", name, err, tt.want)
		}
	}
}

// FuzzRecord checks that whatever decodes encodes to the same bytes, and that
// nothing makes the decoder panic. Bytes get the right checksum first, or
// nothing would get past it.
func FuzzRecord(f *testing.F) {
	for _, r := range example.Records() {
		f.Add(r.Position, record.Append(nil, &r))
	}
	f.Add(uint64(0), []byte{})
	f.Add(^uint64(0), bytes.Repeat([]byte{0xff}, 100))
	f.Fuzz(func(t *testing.T, position uint64, b []byte) {
		b = bytes.Clone(b)
		if len(b) >= record.HeaderLen {
			reseal(position, b)
		}
		var r record.Record
		if position == 0 || position > wire.MaxPosition || record.Decode(&r, position, b) != nil {
			return
		}
		if again := record.Append(nil, &r); !bytes.Equal(again, b) {
			t.Fatalf("got %s, want %s", hex.EncodeToString(again), hex.EncodeToString(b))
		}
	})
}

// TestIDs takes ids of records apart again, and others not.
func TestIDs(t *testing.T) {
	for _, tt := range []struct {
		micros   int64
		position uint64
	}{{0, 1}, {1_660_569_863_136_285, 3}, {wire.MaxTime, wire.MaxPosition}} {
		id := record.IDAt(tt.micros, tt.position)
		if id.Version() != 7 || id.Variant() != uuid.RFC4122 {
			t.Errorf("%s: got version %v, variant %v, want 7 and that of RFC 4122", id, id.Version(), id.Variant())
		}
		micros, position, ok := record.PositionOf(id)
		if !ok || micros != tt.micros || position != tt.position {
			t.Errorf("%s: got %d, %d, %v, want %d, %d", id, micros, position, ok, tt.micros, tt.position)
		}
	}
	for _, id := range []uuid.UUID{{}, example.Records()[0].Body.(*record.Genesis).Seed, record.IDAt(5, 0), uuid.MustParse("0182a1ad-43e0-73e8-8000-000000000005")} {
		if _, _, ok := record.PositionOf(id); ok {
			t.Errorf("%s: got a position, want none", id)
		}
	}
}

// TestExportEveryKind: there is no kind of record that can be in a journal and
// not in an export.
func TestExportEveryKind(t *testing.T) {
	samples := make(map[record.Kind]record.Record)
	for _, r := range example.Records() {
		samples[r.Kind] = r
	}
	for kind := range 256 {
		b := make([]byte, record.HeaderLen)
		b[0], b[1] = byte(kind), 1
		binary.BigEndian.PutUint32(b[record.CRCOffset:], record.CRC(1, b))
		var r record.Record
		if errors.Is(record.Decode(&r, 1, b), store.ErrNewerFormat) {
			continue // there is no such kind
		}
		want, ok := samples[record.Kind(kind)]
		if !ok {
			t.Errorf("kind %d: the examples have none of it", kind)
			continue
		}
		line := record.AppendLine(nil, &want)
		if err := record.ReadLine(line, &r); err != nil {
			t.Errorf("kind %d can't be imported: %v\n%s", kind, err, line)
			continue
		}
		if got, want := record.Append(nil, &r), record.Append(nil, &want); !bytes.Equal(got, want) {
			t.Errorf("kind %d is %x after it, was %x\n%s", kind, got, want, line)
		}
	}
}

// TestRecordsOfTheFeeAccount: it is not the seed account and has no key, or it could
// not pay the stipend. A record that says so is none.
func TestRecordsOfTheFeeAccount(t *testing.T) {
	_, mallory := example.Key("Mallory")
	for name, forge := range map[string]func(r []record.Record) *record.Record{
		"a key": func(r []record.Record) *record.Record { r[10].Body.(*record.Account).Key = mallory; return &r[10] },
		"the genesis": func(r []record.Record) *record.Record {
			r[0].Body.(*record.Genesis).Seed = record.FeeAccount
			return &r[0]
		},
	} {
		r := forge(example.Records())
		if err := record.Decode(new(record.Record), r.Position, record.Append(nil, r)); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
