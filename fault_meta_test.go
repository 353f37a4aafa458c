package capycoin_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"testing"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/pages"
	"github.com/capycoin/capycoin/store"
)

// metaAt returns where the newer and the older meta page of a file begin.
func metaAt(b []byte) (newer, older int) {
	if binary.NativeEndian.Uint64(b[pages.MetaTxid:]) > binary.NativeEndian.Uint64(b[testPage+pages.MetaTxid:]) {
		return 0, testPage
	}
	return testPage, 0
}

// wrongBits is how many bits differ.
func wrongBits(b, want []byte) (n int) {
	for i := range min(len(b), len(want)) {
		n += bits.OnesCount8(b[i] ^ want[i])
	}
	return n
}

// TestMetaPages damages meta pages and what they say. Every such file is refused
// with what is wrong, untouched; what has one meta page left can be accepted,
// with the commits up to that one.
func TestMetaPages(t *testing.T) {
	if testing.Short() {
		t.Skip("hundreds of files")
	}
	t.Parallel()
	needsTestPage(t)
	order := binary.NativeEndian
	path := newFile(t) // ends at record 5
	file, seen := readFile(t, path), readFile(t, path+".witness")
	newer, older := metaAt(file)
	txid := order.Uint64(file[newer+pages.MetaTxid:])
	total := order.Uint64(file[newer+pages.MetaPages:])
	freelist := order.Uint64(file[newer+pages.MetaFreelist:])
	put := func(at, field int, value uint64) func([]byte) []byte {
		return func(b []byte) []byte {
			order.PutUint64(b[at+field:], value)
			resealMeta(b[at:])
			return b
		}
	}
	inFreelist := func(at int, value byte) func([]byte) []byte {
		return func(b []byte) []byte { b[int(freelist)*testPage+at] = value; return b }
	}
	left := func(at int) string {
		return fmt.Sprintf("meta page %d is of transaction %d, and the commit after it may be lost", at/testPage, order.Uint64(file[at+pages.MetaTxid:]))
	}
	for name, tt := range map[string]struct {
		change func(b []byte) []byte
		says   string
		accept bool
	}{
		"newer zeroed":    {func(b []byte) []byte { clear(b[newer : newer+testPage]); return b }, fmt.Sprintf("meta page %d of the file is zeroed; ", newer/testPage) + left(older), true},
		"older zeroed":    {func(b []byte) []byte { clear(b[older : older+testPage]); return b }, fmt.Sprintf("meta page %d of the file is zeroed; ", older/testPage) + left(newer), true},
		"newer, its mark": {func(b []byte) []byte { b[newer+pages.MetaHeader] ^= 1; return b }, "does not begin as one; " + left(older), true},
		"newer, a bit":    {func(b []byte) []byte { b[newer+pages.MetaTxid] ^= 1; return b }, "does not match its checksum; " + left(older), true},
		"newer, version": {func(b []byte) []byte {
			order.PutUint32(b[newer+pages.MetaHeader+4:], 3)
			resealMeta(b[newer:])
			return b
		}, "is of version 3 of bbolt's format", true},
		"both zeroed":         {func(b []byte) []byte { clear(b[:2*testPage]); return b }, "damaged: both meta pages of the file are lost", false},
		"both, a bit":         {func(b []byte) []byte { b[pages.MetaTxid] ^= 1; b[testPage+pages.MetaTxid] ^= 1; return b }, "both meta pages of the file are damaged: page 0 does not match", false},
		"transactions equal":  {put(older, pages.MetaTxid, txid), fmt.Sprintf("the meta pages are of transactions %d and %[1]d, which do not follow", txid), true},
		"a transaction ahead": {put(newer, pages.MetaTxid, txid+2), fmt.Sprintf("of transactions %d and %d, which do not follow", txid-1, txid+2), true},
		"newer is old":        {put(newer, pages.MetaTxid, txid-4), fmt.Sprintf("of transactions %d and %d, which do not follow", txid-4, txid-1), true},
		"pages of another size": {func(b []byte) []byte {
			order.PutUint32(b[testPage+pages.MetaPageSize:], 2*testPage)
			resealMeta(b[testPage:])
			return b
		}, "meta page 1 is of a file with pages of 8192 bytes, and lies where they have 4096", false},
		"pages of no size": {func(b []byte) []byte {
			order.PutUint32(b[pages.MetaPageSize:], 0)
			resealMeta(b)
			return b
		}, "meta page 0 is of a file with pages of 0 bytes", false},
		"pages of an odd size": {func(b []byte) []byte {
			order.PutUint32(b[pages.MetaPageSize:], 5000)
			resealMeta(b)
			return b
		}, "meta page 0 is of a file with pages of 5000 bytes", false},
		"root beyond the end":      {put(newer, pages.MetaRoot, total), fmt.Sprintf("page %d of the file is led to, there are %[1]d", total), false},
		"root is a meta page":      {put(newer, pages.MetaRoot, 1), "page 1 of the file is led to", false},
		"root is the free list":    {put(newer, pages.MetaRoot, freelist), "is neither branch nor leaf", false},
		"free list beyond the end": {put(newer, pages.MetaFreelist, 1<<40), "page 1099511627776 of the file is led to", false},
		"free list is the root":    {put(newer, pages.MetaFreelist, order.Uint64(file[newer+pages.MetaRoot:])), "is no list of free pages", false},
		"no free list":             {put(newer, pages.MetaFreelist, pages.NoFreelist), "the file has no list of free pages", false},
		"more pages than bytes":    {put(newer, pages.MetaPages, 1<<20), fmt.Sprintf("the file has %d bytes, its 1048576 pages need 4294967296", len(file)), false},
		"more pages than disks":    {put(newer, pages.MetaPages, 1<<60), "pages need", false},
		"fewer pages":              {put(newer, pages.MetaPages, 4), "is led to, there are 4", false},
		"shorter":                  {func(b []byte) []byte { return b[:(total-1)*testPage] }, "pages need", false},
		"free list, a used page":   {inFreelist(pages.HeaderSize, byte(order.Uint64(file[newer+pages.MetaRoot:]))), "in use twice", false},
		"free list, too many":      {inFreelist(pages.CountAt+1, 0x80), "has no room for its", false},
		"free list, far too long":  {inFreelist(pages.OverflowAt+3, 0x01), "says that 16777216 pages belong to it", false},
		"free list, itself":        {inFreelist(pages.HeaderSize, byte(freelist)), "in use twice", false},
	} {
		t.Run(name, func(t *testing.T) {
			path := path + strings.ReplaceAll(name, " ", "-")
			bad := tt.change(bytes.Clone(file))
			if bytes.Equal(bad, file) {
				t.Fatal("nothing was damaged")
			}
			writeFile(t, path, bad)
			writeFile(t, path+".witness", seen)
			led, err := capycoin.Open(path, nil)
			if err == nil {
				led.Close()
			}
			if !errors.Is(err, store.ErrCorrupt) || errors.Is(err, store.ErrRolledBack) != tt.accept || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("got %v, rolled back %t, want %q, %t", err, errors.Is(err, store.ErrRolledBack), tt.says, tt.accept)
			}
			if !bytes.Equal(readFile(t, path), bad) || !bytes.Equal(readFile(t, path+".witness"), seen) {
				t.Error("the file or its witness has changed")
			}
			if !tt.accept {
				return
			}
			ctx := context.Background()
			rep, err := capycoin.Repair(ctx, path, nil)
			if wrongBits(bad, file) == 1 {
				if err != nil || !rep.Repaired || rep.Audit.Records != 5 {
					t.Errorf("a repair of one bit: got %+v, %v; want all 5 records", rep, err)
				}
				return
			}
			if !errors.Is(err, store.ErrRolledBack) || !bytes.Equal(readFile(t, path), bad) {
				t.Errorf("a repair: got %v, want ErrRolledBack, and the file untouched", err)
			}
			if _, err := capycoin.Repair(ctx, path, &capycoin.RepairOptions{AcceptRollback: true}); err != nil {
				t.Fatalf("accepting it: %v", err)
			}
			if led, err = capycoin.Open(path, nil); err != nil {
				t.Fatal(err)
			}
			audit, err := led.Audit(context.Background(), nil)
			if err := errors.Join(err, audit.Err(), led.Close()); err != nil || audit.Position < 4 || audit.Position > 5 {
				t.Errorf("then: %v, %d records, want 4 or 5", err, audit.Position)
			}
		})
	}
}

// TestMetaLostThenOld takes the newer meta page from a file: once the older one
// was accepted without its witness, that still says what is lost.
func TestMetaLostThenOld(t *testing.T) {
	path := newFile(t)
	led, err := capycoin.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := led.OpenAccount(context.Background()); err != nil {
		t.Fatal(err)
	}
	file := readFile(t, path) // the commit of record 6 is its last
	if err := led.Close(); err != nil {
		t.Fatal(err)
	}
	newer, _ := metaAt(file)
	clear(file[newer : newer+testPage])
	writeFile(t, path, file)
	if _, err := capycoin.Repair(context.Background(), path, &capycoin.RepairOptions{Witness: path + ".other", AcceptRollback: true}); err != nil {
		t.Fatal(err)
	}
	refusedAsOld(t, path, "the journal ends at record 5 of ")
}
