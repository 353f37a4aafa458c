package capycoin

import (
	"context"
	"testing"
	"time"

	"github.com/capycoin/capycoin/internal/record"
)

// TestInviteUsedAtOnce has many use an invite at the same time, all judged in
// one commit: it opens one account.
func TestInviteUsedAtOnce(t *testing.T) {
	w := newInsideWorld(t)
	ctx := context.Background()
	made, inv := w.invite()
	before := w.led.Stats()
	const callers = 20
	results := make(chan error, callers+1)
	w.led.writing.Lock() // so that they gather
	for n := range callers {
		go func() {
			tok := record.Token{Selector: [16]byte{byte(n), 1}, Expires: w.now.Add(time.Hour).UnixMicro()}
			_, _, err := w.led.openAccount(ctx, PublicKey{}, &tok, &inv)
			results <- err
		}()
	}
	go func() { results <- w.led.revokeInvite(ctx, record.IDAt(inv.Time, inv.Position)) }()
	// The writer has taken one from the queue and waits for the lock.
	for deadline := time.Now().Add(10 * time.Second); w.led.Stats().QueueLength < callers; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d operations are queued, want %d", w.led.Stats().QueueLength, callers)
		}
	}
	w.led.writing.Unlock()
	ended := 0
	for range callers + 1 {
		switch err := <-results; {
		case err == nil:
			ended++
		case err != ErrInvalidInvite && err != ErrInviteNotFound:
			t.Errorf("got error %v", err)
		}
	}
	after := w.led.Stats()
	if opened := after.Accounts - before.Accounts; ended != 1 || opened > 1 || after.Commits.Count != before.Commits.Count+1 {
		t.Errorf("the invite ended %d times and opened %d accounts in %d commits", ended, opened, after.Commits.Count-before.Commits.Count)
	}
	if _, _, err := w.iss.OpenInvited(ctx, made.Code); err != ErrInvalidInvite {
		t.Errorf("used again: got error %v, want %v", err, ErrInvalidInvite)
	}
	if page, err := w.iss.InvitePage(ctx, "", 0); err != nil || len(page.Invites) > 0 {
		t.Errorf("invites: got %+v, error %v, want none", page, err)
	}
	if got := w.led.Stats(); got.Position != after.Position {
		t.Errorf("%d records were written", got.Position-after.Position)
	}
}

// TestInviteJudgedAgain lets an invite expire, and be taken by another hash,
// between the look at it and the commit.
func TestInviteJudgedAgain(t *testing.T) {
	w := newInsideWorld(t)
	ctx := context.Background()
	made, inv := w.invite()
	again := record.Invite{Hash: inv.Hash, Expires: inv.Expires}
	if err := w.led.makeInvite(ctx, &again); err != errSelectorTaken {
		t.Errorf("a second invite of the code: got error %v, want %v", err, errSelectorTaken)
	}
	tok := record.Token{Selector: inv.Selector(), Expires: inv.Expires, Account: w.account()}
	if _, err := w.led.issueToken(ctx, tok); err != errSelectorTaken {
		t.Errorf("a token of the invite's selector: got error %v, want %v", err, errSelectorTaken)
	}
	other := inv.Hash
	other[31]++
	if _, err := w.led.inviteByHash(ctx, other); err != ErrInvalidInvite {
		t.Errorf("a hash that only begins like it: got error %v, want %v", err, ErrInvalidInvite)
	}
	w.now = made.Expires
	before := w.led.Stats().Position
	tok = record.Token{Selector: [16]byte{1}, Expires: w.now.Add(time.Hour).UnixMicro()}
	if _, _, err := w.led.openAccount(ctx, PublicKey{}, &tok, &inv); err != ErrInvalidInvite {
		t.Errorf("expired meanwhile: got error %v, want %v", err, ErrInvalidInvite)
	}
	if got := w.led.Stats().Position; got != before {
		t.Errorf("%d records were written", got-before)
	}
}
