package capycoin_test

import (
	"errors"
	"testing"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/storetest"
)

// TestInviteFaults fails the commit in which an invite is used, in every way,
// and opens the ledger again, with its rows and without: either the invite is
// used and the account is there, or neither, and then it can be used.
func TestInviteFaults(t *testing.T) {
	for _, tt := range []struct {
		fault storetest.Fault
		err   error
		made  bool
	}{
		{storetest.NotDone, capycoin.ErrOutcomeUnknown, false},
		{storetest.YetDone, capycoin.ErrOutcomeUnknown, true},
		{storetest.NotWritten, capycoin.ErrNotWritten, false},
		{storetest.Fenced, capycoin.ErrNotWritten, false},
	} {
		for _, lose := range []bool{false, true} {
			memory := storetest.NewMemory()
			store := storetest.NewFaulty(memory, memory)
			open := func() (*capycoin.Ledger, *capycoin.TokenIssuer) {
				led, err := capycoin.OpenStore(ctx, store, store, nil)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { led.Close() })
				iss, err := capycoin.NewTokenIssuer(led, &capycoin.TokenOptions{BcryptCost: 4})
				if err != nil {
					t.Fatal(err)
				}
				return led, iss
			}
			led, iss := open()
			inv, err := iss.Invite(ctx, capycoin.InviteRequest{})
			if err != nil {
				t.Fatal(err)
			}
			for n := range 8 { // a ledger judges again as long as it is fenced
				store.Fail(storetest.OpAppend, n+1, tt.fault)
				if tt.fault != storetest.Fenced {
					break
				}
			}
			if _, _, err := iss.OpenInvited(ctx, inv.Code); !errors.Is(err, tt.err) {
				t.Errorf("%v: got error %v, want %v", tt.fault, err, tt.err)
			}
			store.Heal()
			led.Close()
			if lose {
				store.LoseFolds()
			}
			led, iss = open()
			_, _, err = iss.OpenInvited(ctx, inv.Code)
			if tt.made != errors.Is(err, capycoin.ErrInvalidInvite) || !tt.made && err != nil {
				t.Errorf("%v, opened again, without rows %v: got error %v", tt.fault, lose, err)
			}
			if got := led.Stats(); got.Accounts != 2 || got.Position != 5 {
				t.Errorf("%v, opened again, without rows %v: %d accounts and %d records, want 2 and 5", tt.fault, lose, got.Accounts, got.Position)
			}
			if rep, err := led.Audit(ctx, nil); err != nil || rep.Err() != nil {
				t.Errorf("%v: audit: %v, %v", tt.fault, err, rep.Err())
			}
		}
	}
}
