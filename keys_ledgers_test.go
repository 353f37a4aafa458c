package capycoin_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/storetest"
)

// TestSignaturesOfTwoLedgers has two ledgers on one journal. What one of them has not
// read yet, an account or the change of its key, is no reason to refuse a signature by
// it; and one by the key before is refused.
func TestSignaturesOfTwoLedgers(t *testing.T) {
	store := storetest.NewMemory()
	var leds [2]*capycoin.Ledger
	for i, handle := range []*storetest.Memory{store, store.Handle()} {
		led, err := capycoin.OpenStore(ctx, handle, handle, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer led.Close()
		leds[i] = led
	}
	first, second := leds[0], leds[1]
	supply, err := first.Supply(ctx)
	oldKey, oldPublic := testKey("Ann")
	newKey, newPublic := testKey("Ann's next")
	if err != nil {
		t.Fatal(err)
	}
	open := func() uuid.UUID {
		acct, err := first.OpenKeyedAccount(ctx, oldPublic)
		if err != nil {
			t.Fatal(err)
		}
		pay(t, first, capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: acct.ID, Amount: 100})
		return acct.ID
	}
	ann := open()
	n := 0
	signed := func(version uint32) capycoin.Transfer {
		n++
		tr := capycoin.Transfer{Sender: ann, Receiver: capycoin.DefaultSeedAccount(), Amount: 1, Key: string(rune('a' + n)), MaxFee: new(capycoin.Coins)}
		key := oldKey
		if version > 1 {
			key = newKey
		}
		if tr.Signature, err = capycoin.SignTransfer(supply.LedgerID, version, tr, first.Time().Add(time.Hour), key); err != nil {
			t.Fatal(err)
		}
		return tr
	}
	change := func() capycoin.KeyChange {
		c := capycoin.KeyChange{Account: ann, Version: 1, NewKey: newPublic}
		var oldErr, newErr error
		c.OldSignature, oldErr = capycoin.SignKeyChange(supply.LedgerID, ann, 1, newPublic, oldKey)
		c.NewSignature, newErr = capycoin.SignKeyChange(supply.LedgerID, ann, 1, newPublic, newKey)
		if err := errors.Join(oldErr, newErr); err != nil {
			t.Fatal(err)
		}
		return c
	}
	if _, err := second.Transfer(ctx, signed(1)); err != nil {
		t.Errorf("an account that the other ledger opened: %v", err)
	}
	if _, err := first.ChangeKey(ctx, change()); err != nil {
		t.Fatal(err)
	}
	results, err := second.TransferBatch(ctx, []capycoin.Transfer{signed(1), signed(2)}, capycoin.EachAlone)
	if err != nil || !errors.Is(results[0].Err, capycoin.ErrInvalidSignature) || results[1].Err != nil {
		t.Errorf("by the old key and by the one that the other ledger set: %v, %v", results, err)
	}
	ann = open()
	if _, err := second.ChangeKey(ctx, change()); err != nil {
		t.Errorf("the key of an account that the other ledger opened: %v", err)
	}
	if _, err := first.ChangeKey(ctx, change()); !errors.Is(err, capycoin.ErrKeyVersion) {
		t.Errorf("a key that the other ledger changed: %v", err)
	}
	for _, led := range leds {
		audit(t, led)
	}
}
