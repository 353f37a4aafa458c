package capycoin_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/storetest"
)

func (w *tokenWorld) invite(r capycoin.InviteRequest) capycoin.IssuedInvite {
	w.t.Helper()
	inv, err := w.iss.Invite(context.Background(), r)
	if err != nil {
		w.t.Fatalf("Invite: %v", err)
	}
	return inv
}

// wantUsed opens an account by a code.
func (w *tokenWorld) wantUsed(code string) (capycoin.Account, capycoin.IssuedToken) {
	w.t.Helper()
	acct, tok, err := w.iss.OpenInvited(context.Background(), code)
	if err != nil {
		w.t.Fatalf("OpenInvited: %v", err)
	}
	return acct, tok
}

// wantNoEntry fails the test unless a code opens nothing, costs no hash and
// changes nothing.
func (w *tokenWorld) wantNoEntry(code string) {
	w.t.Helper()
	hashed, position := w.iss.Stats().HashRuns, w.led.Stats().Position
	acct, tok, err := w.iss.OpenInvited(context.Background(), code)
	if err != capycoin.ErrInvalidInvite || acct != (capycoin.Account{}) || tok != (capycoin.IssuedToken{}) {
		w.t.Errorf("OpenInvited by %q: got %+v, %v, error %v; want error %v", code, acct, tok, err, capycoin.ErrInvalidInvite)
	}
	if got := w.iss.Stats().HashRuns; got != hashed {
		w.t.Errorf("OpenInvited by %q: bcrypt ran %d times", code, got-hashed)
	}
	if got := w.led.Stats().Position; got != position {
		w.t.Errorf("OpenInvited by %q: %d records were written", code, got-position)
	}
}

func (w *tokenWorld) wantInvites(want ...capycoin.Invite) {
	w.t.Helper()
	for _, limit := range []int{0, 1, 2, capycoin.MaxPage} {
		var got []capycoin.Invite
		for cursor, more := "", true; more; more = cursor != "" {
			page, err := w.iss.InvitePage(context.Background(), cursor, limit)
			if err != nil || limit > 0 && len(page.Invites) > limit {
				w.t.Fatalf("InvitePage %q of %d: got %+v, error %v", cursor, limit, page, err)
			}
			got, cursor = append(got, page.Invites...), page.Next
		}
		if !slices.Equal(got, want) {
			w.t.Errorf("invites, %d a page: got %+v, want %+v", limit, got, want)
		}
	}
}

// TestInvites makes, uses, revokes and lists invites, with their rows in memory
// and on the disk.
func TestInvites(t *testing.T) {
	w := newTokenWorld(t)
	ctx := context.Background()
	ann, bob := w.invite(capycoin.InviteRequest{Label: "Ann"}), w.invite(capycoin.InviteRequest{})
	w.clock.advance(time.Hour)
	late := w.invite(capycoin.InviteRequest{Expires: w.clock.Now().Add(capycoin.MaxInviteLife)})
	w.account() // tokens are among the same rows
	if len(ann.Code) != 26 || strings.Trim(ann.Code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" || ann.Code == bob.Code {
		t.Errorf("got the codes %s and %s, want 26 digits of base32 each", ann.Code, bob.Code)
	}
	if ann.Label != "Ann" || ann.Expires != ann.Created.Add(capycoin.DefaultInviteLife) || late.Expires != late.Created.Add(capycoin.MaxInviteLife) {
		t.Errorf("got %v and %v", ann, late)
	}
	for range 2 {
		w.wantInvites(ann.Invite, bob.Invite, late.Invite)
		w.wantNoEntry("")
		w.wantNoEntry(ann.Code[:25])
		w.wantNoEntry(ann.Code + "A")
		w.wantNoEntry("ſ" + ann.Code[2:])
		w.wantNoEntry(strings.Repeat("A", 26))
		w.wantNoEntry(ann.Code[:25] + "\n")
		w.wantNoEntry("1" + ann.Code[1:])
		w.reopen()
	}
	acct, tok := w.wantUsed(strings.ToLower(ann.Code))
	w.wantValid(w.iss, tok.Secret, tok.Token)
	w.wantList(acct.ID, tok.Token)
	if err := w.iss.RevokeInvite(ctx, late.ID); err != nil {
		t.Errorf("RevokeInvite: %v", err)
	}
	for range 2 {
		for _, inv := range []capycoin.IssuedInvite{ann, late} {
			w.wantNoEntry(inv.Code)
			if err := w.iss.RevokeInvite(ctx, inv.ID); err != capycoin.ErrInviteNotFound {
				t.Errorf("RevokeInvite of one that ended: got error %v, want %v", err, capycoin.ErrInviteNotFound)
			}
		}
		w.wantInvites(bob.Invite)
		w.reopen()
	}
	// What is no invite can't be revoked as one, and an invite not as a token.
	for _, id := range [][16]byte{acct.ID, tok.ID, record.IDAt(1, 1), record.IDAt(bob.Created.UnixMicro()+1, 4), record.IDAt(1, 1<<60)} {
		if err := w.iss.RevokeInvite(ctx, id); err != capycoin.ErrInviteNotFound {
			t.Errorf("RevokeInvite of %x: got error %v, want %v", id, err, capycoin.ErrInviteNotFound)
		}
	}
	if err := w.iss.Revoke(ctx, acct.ID, bob.ID); err != capycoin.ErrTokenNotFound {
		t.Errorf("Revoke of an invite: got error %v, want %v", err, capycoin.ErrTokenNotFound)
	}
	// Good up to its expiry, not at it.
	w.clock.set(bob.Expires)
	w.wantInvites()
	w.wantNoEntry(bob.Code)
	if err := w.iss.RevokeInvite(ctx, bob.ID); err != capycoin.ErrInviteNotFound {
		t.Errorf("RevokeInvite of one that expired: got error %v, want %v", err, capycoin.ErrInviteNotFound)
	}
	for _, cursor := range []string{"x", acct.ID.String(), strings.ToUpper(bob.ID.String()), "{" + bob.ID.String() + "}"} {
		if _, err := w.iss.InvitePage(ctx, cursor, 0); !errors.Is(err, capycoin.ErrBadCursor) {
			t.Errorf("InvitePage %q: got error %v, want %v", cursor, err, capycoin.ErrBadCursor)
		}
	}
	for _, limit := range []int{-1, capycoin.MaxPage + 1} {
		if _, err := w.iss.InvitePage(ctx, "", limit); !errors.Is(err, capycoin.ErrBadRange) {
			t.Errorf("InvitePage of %d: got error %v, want %v", limit, err, capycoin.ErrBadRange)
		}
	}
}

func TestInviteRequests(t *testing.T) {
	w := newTokenWorld(t)
	now := w.clock.Now()
	for _, tt := range []struct {
		r    capycoin.InviteRequest
		want error
	}{
		{capycoin.InviteRequest{Label: strings.Repeat("ä", 64), Expires: now.Add(time.Microsecond)}, nil},
		{capycoin.InviteRequest{Label: strings.Repeat("ä", 65)}, capycoin.ErrBadLabel},
		{capycoin.InviteRequest{Label: "a\nb"}, capycoin.ErrBadLabel},
		{capycoin.InviteRequest{Label: "\xff"}, capycoin.ErrBadLabel},
		{capycoin.InviteRequest{Expires: now}, capycoin.ErrBadExpiry},
		{capycoin.InviteRequest{Expires: now.Add(-time.Hour)}, capycoin.ErrBadExpiry},
		{capycoin.InviteRequest{Expires: now.Add(capycoin.MaxInviteLife + time.Microsecond)}, capycoin.ErrBadExpiry},
	} {
		if got, err := w.iss.Invite(context.Background(), tt.r); !errors.Is(err, tt.want) || err != nil && got != (capycoin.IssuedInvite{}) {
			t.Errorf("%+v: got %v, error %v, want error %v", tt.r, got, err, tt.want)
		}
	}
}

// TestInviteHidesCode prints an invite in every way: its code is not there.
func TestInviteHidesCode(t *testing.T) {
	w := newTokenWorld(t)
	inv := w.invite(capycoin.InviteRequest{Label: "Ann"})
	for _, s := range []string{
		fmt.Sprint(inv), fmt.Sprintf("%v %+v %#v %s %q %x %d", inv, inv, inv, inv, inv, inv, inv), inv.LogValue().String(),
		fmt.Sprintf("%v", []capycoin.IssuedInvite{inv}), fmt.Sprintf("%+v", &inv),
	} {
		if strings.Contains(s, inv.Code) || strings.Contains(s, fmt.Sprintf("%x", inv.Code)) || !strings.Contains(s, inv.ID.String()) {
			t.Errorf("got %s", s)
		}
	}
}

// TestInviteUsedByMany is that from outside, with hashes in between.
func TestInviteUsedByMany(t *testing.T) {
	w := newTokenWorld(t)
	code := w.invite(capycoin.InviteRequest{}).Code
	var wg sync.WaitGroup
	errs := make([]error, 30)
	for n := range errs {
		wg.Go(func() { _, _, errs[n] = w.iss.OpenInvited(context.Background(), code) })
	}
	wg.Wait()
	opened := 0
	for _, err := range errs {
		switch {
		case err == nil:
			opened++
		case err != capycoin.ErrInvalidInvite:
			t.Errorf("got error %v", err)
		}
	}
	if got := w.led.Stats().Accounts; opened != 1 || got != 2 {
		t.Errorf("%d calls opened an account, there are %d", opened, got)
	}
}

// TestInviteIsNoToken presents a token that begins like the hash of an invite,
// which everybody can make who has one. It is none, and no damage.
func TestInviteIsNoToken(t *testing.T) {
	w := newTokenWorld(t)
	// That is its hash, by docs/format.md.
	hash := sha256.Sum256([]byte("capycoin invite v1\x00" + w.invite(capycoin.InviteRequest{}).Code))
	token := hex.EncodeToString(hash[:]) + strings.Repeat("0", 192)
	for range 2 {
		w.wantInvalid(w.iss, token)
		if err := w.led.Err(); err != nil {
			t.Fatal(err)
		}
		w.reopen()
	}
}

// TestInvitesAreSwept lets invites expire: their rows go.
func TestInvitesAreSwept(t *testing.T) {
	memory := storetest.NewMemory()
	w := newTokenWorldIn(t, memory, folding(10, 8))
	acct := w.openBare()
	short, long := w.invite(capycoin.InviteRequest{Expires: w.clock.Now().Add(time.Hour)}), w.invite(capycoin.InviteRequest{})
	rows := func() int {
		for range 40 {
			if _, err := w.led.Transfer(t.Context(), capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: acct, Amount: 1}); err != nil {
				t.Fatal(err)
			}
		}
		if rep, err := w.led.Audit(t.Context(), nil); err != nil || rep.Err() != nil {
			t.Fatal(err, rep.Err())
		}
		return tokenRows(t, memory)
	}
	if got := rows(); got != 2 {
		t.Errorf("got %d rows, want 2", got)
	}
	w.wantInvites(short.Invite, long.Invite)
	w.clock.advance(time.Hour)
	if got := rows(); got != 1 {
		t.Errorf("after one has expired: got %d rows, want 1", got)
	}
	w.wantInvites(long.Invite)
	w.wantUsed(long.Code)
	if got := rows(); got != 1 { // the new account's token
		t.Errorf("after the other was used: got %d rows, want 1", got)
	}
	w.wantNoEntry(long.Code)
}
