package capycoin_test

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"path/filepath"
	"testing"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/storetest"
)

// cursor is what a cursor of transactions says: 'T', the account, the order, the first
// and the last time, the next ordinal, and a CRC-32C of all that. One of accounts has
// 'A' and the next ordinal.
type cursor struct {
	account          uuid.UUID
	order            byte
	start, end, next int64
}

// readCursor takes a cursor of transactions apart, whatever it is; zero if it is too
// short.
func readCursor(s string) (c cursor) {
	b, _ := base64.RawURLEncoding.DecodeString(s)
	if len(b) < 42 {
		return c
	}
	at := func(i int) int64 { return int64(binary.BigEndian.Uint64(b[i:])) }
	return cursor{uuid.UUID(b[1:17]), b[17], at(18), at(26), at(34)}
}

func (c *cursor) text() string {
	b := append([]byte{'T'}, c.account[:]...)
	b = append(b, c.order)
	for _, n := range []int64{c.start, c.end, c.next} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return sealedCursor(b)
}

func accountCursor(next uint64) string {
	return sealedCursor(binary.BigEndian.AppendUint64([]byte{'A'}, next))
}

func sealedCursor(b []byte) string {
	sum := crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint32(b, sum))
}

// TestForgedCursor changes cursors as their holder can. One whose range ends
// before what it goes on with was never given out; to look for what it asks for
// would be to read the whole history, however short the page.
func TestForgedCursor(t *testing.T) {
	ctx := t.Context()
	led, err := capycoin.Open(filepath.Join(t.TempDir(), "ledger.db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer led.Close()
	acct, err := led.OpenAccount(ctx)
	if err != nil {
		t.Fatal(err)
	}
	const count = 5
	for range count {
		if _, err := led.Transfer(ctx, capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: acct.ID, Amount: 1}); err != nil {
			t.Fatal(err)
		}
	}
	page, err := led.TransactionPage(ctx, acct.ID, capycoin.Range{Order: capycoin.NewestFirst, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	given := readCursor(page.Next)
	if given.next != count-1 || given.text() != page.Next {
		t.Fatalf("got a cursor to %d, which is %q and not %q, want one to %d", given.next, given.text(), page.Next, count-1)
	}
	rest, err := led.TransactionPage(ctx, acct.ID, capycoin.Range{Cursor: page.Next})
	if err != nil || len(rest.Transactions) != count-1 {
		t.Fatalf("got %d transactions, %v, want %d", len(rest.Transactions), err, count-1)
	}
	at := rest.Transactions[0].Timestamp.UnixMicro() // of the one that the cursor names
	for _, tt := range []struct {
		name string
		end  int64
		next int64
		want error
	}{
		{"as it was given", given.end, given.next, nil},
		{"an end just after it", at + 1, given.next, nil},
		{"an end at it", at, given.next, capycoin.ErrBadCursor},
		{"an end before all", 0, given.next, capycoin.ErrBadCursor},
		{"an end before time", -1 << 63, given.next, capycoin.ErrBadCursor},
		{"the last one", 0, count, capycoin.ErrBadCursor},
		{"one that is not there", 0, count + 1, nil}, // and costs nothing
	} {
		t.Run(tt.name, func(t *testing.T) {
			forged := given
			forged.end, forged.next = tt.end, tt.next
			if _, err := led.TransactionPage(ctx, acct.ID, capycoin.Range{Cursor: forged.text(), Limit: 1}); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// FuzzCursor: a cursor that is taken is, to the letter, one that is given out.
func FuzzCursor(f *testing.F) {
	memory := storetest.NewMemory()
	led, err := capycoin.OpenStore(f.Context(), memory, memory, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { led.Close() })
	c := cursor{capycoin.DefaultSeedAccount(), byte(capycoin.NewestFirst), -1, 253_402_300_800_000_000, 12}
	f.Add(c.text())
	f.Add(c.text()[:61] + string(c.text()[61]+1)) // its last bits are not in use
	for _, bad := range []cursor{{c.account, 0, -1, 5, 12}, {c.account, 3, -1, 5, 12}, {c.account, 1, -1, 5, 0}, {c.account, 1, -1, 5, -1}} {
		f.Add(bad.text())
	}
	f.Add(accountCursor(77))
	f.Add(accountCursor(0))
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if s == "" {
			return // a listing begins with it
		}
		c := readCursor(s)
		_, err := led.TransactionPage(t.Context(), c.account, capycoin.Range{Cursor: s})
		if !errors.Is(err, capycoin.ErrBadCursor) && (c.text() != s || c.next < 1 || c.order != byte(capycoin.OldestFirst) && c.order != byte(capycoin.NewestFirst)) {
			t.Fatalf("%q is taken as %+v, which is %q; the page: %v", s, c, c.text(), err)
		}
		if _, err := led.AccountPage(t.Context(), s, 1); !errors.Is(err, capycoin.ErrBadCursor) {
			b, _ := base64.RawURLEncoding.DecodeString(s)
			if len(b) < 9 || accountCursor(binary.BigEndian.Uint64(b[1:])) != s {
				t.Fatalf("%q is taken for a cursor of accounts: %v", s, err)
			}
		}
	})
}
