package record

import (
	"reflect"
	"testing"
	"unsafe"
)

// TestKinds: the table of kinds has no hole, each has a name of its own, and makes
// bodies that are of that kind.
func TestKinds(t *testing.T) {
	names := make(map[string]bool)
	for i := range kinds {
		kind, k := Kind(i), kinds[i]
		if kind == 0 {
			if k.name != "" {
				t.Errorf("there is a kind 0, %q", k.name)
			}
			continue
		}
		if k.name == "" || names[k.name] {
			t.Errorf("kind %d has the name %q: none, or another one's", kind, k.name)
		}
		names[k.name] = true
		if k.versions == 0 {
			t.Errorf("kind %d has no version", kind)
		}
		if (k.body == nil) != (kind == KindTransfer) {
			t.Errorf("kind %d has a body %v", kind, k.body != nil)
		}
		if k.body != nil && k.body().Kind() != kind {
			t.Errorf("kind %d makes a body of kind %d", kind, k.body().Kind())
		}
	}
}

// TestSizes: a page of records is read at once, and most of them are transfers.
func TestSizes(t *testing.T) {
	if size := unsafe.Sizeof(Record{}); size > 320 {
		t.Errorf("a record has %d bytes, want at most 320", size)
	}
}

// TestBodiesAreUsedAgain: a record that is decoded into over and over makes a body once
// for each kind that follows another one.
func TestBodiesAreUsedAgain(t *testing.T) {
	revoke := func(token uint64) []byte {
		r := New(9, 5, &Revocation{Token: token})
		return Append(nil, &r)
	}
	first, second := revoke(3), revoke(4)
	pay := Record{Header: Header{Position: 9, Time: 5, Kind: KindTransfer}, Transfer: Transfer{Amount: 1, Receiver: FeeAccount}}
	pay.Transfer.From.Ordinal, pay.Transfer.To.Ordinal = 1, 1
	between := Append(nil, &pay)
	var r Record
	decode := func(b []byte) Body {
		if err := Decode(&r, 9, b); err != nil {
			t.Fatal(err)
		}
		return r.Body
	}
	body := decode(first)
	if none := decode(between); none != nil {
		t.Errorf("a transfer has a body %v", none)
	}
	if again := decode(second); again != body || !reflect.DeepEqual(again, &Revocation{Token: 4}) {
		t.Errorf("got %+v at %p, want the one at %p", again, again, body)
	}
}
