package capycoin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/store"
)

func (w *tokenWorld) invite(r InviteRequest) IssuedInvite {
	w.t.Helper()
	inv, err := w.iss.Invite(context.Background(), r)
	if err != nil {
		w.t.Fatalf("Invite: %v", err)
	}
	return inv
}

// wantUsed opens an account by a code.
func (w *tokenWorld) wantUsed(code string) (Account, IssuedToken) {
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
	if err != ErrInvalidInvite || acct != (Account{}) || tok != (IssuedToken{}) {
		w.t.Errorf("OpenInvited by %q: got %+v, %v, error %v; want error %v", code, acct, tok, err, ErrInvalidInvite)
	}
	if got := w.iss.Stats().HashRuns; got != hashed {
		w.t.Errorf("OpenInvited by %q: bcrypt ran %d times", code, got-hashed)
	}
	if got := w.led.Stats().Position; got != position {
		w.t.Errorf("OpenInvited by %q: %d records were written", code, got-position)
	}
}

func (w *tokenWorld) wantInvites(want ...Invite) {
	w.t.Helper()
	for _, limit := range []int{0, 1, 2, MaxPage} {
		var got []Invite
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
	ann, bob := w.invite(InviteRequest{Label: "Ann"}), w.invite(InviteRequest{})
	w.clock.advance(time.Hour)
	late := w.invite(InviteRequest{Expires: w.clock.Now().Add(MaxInviteLife)})
	w.account() // tokens are among the same rows
	if len(ann.Code) != 26 || strings.Trim(ann.Code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" || ann.Code == bob.Code {
		t.Errorf("got the codes %s and %s, want 26 digits of base32 each", ann.Code, bob.Code)
	}
	if ann.Label != "Ann" || ann.Expires != ann.Created.Add(DefaultInviteLife) || late.Expires != late.Created.Add(MaxInviteLife) {
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
		for _, inv := range []IssuedInvite{ann, late} {
			w.wantNoEntry(inv.Code)
			if err := w.iss.RevokeInvite(ctx, inv.ID); err != ErrInviteNotFound {
				t.Errorf("RevokeInvite of one that ended: got error %v, want %v", err, ErrInviteNotFound)
			}
		}
		w.wantInvites(bob.Invite)
		w.reopen()
	}
	// What is no invite can't be revoked as one, and an invite not as a token.
	for _, id := range [][16]byte{acct.ID, tok.ID, record.IDAt(1, 1), record.IDAt(bob.Created.UnixMicro()+1, 4), record.IDAt(1, 1<<60)} {
		if err := w.iss.RevokeInvite(ctx, id); err != ErrInviteNotFound {
			t.Errorf("RevokeInvite of %x: got error %v, want %v", id, err, ErrInviteNotFound)
		}
	}
	if err := w.iss.Revoke(ctx, acct.ID, bob.ID); err != ErrTokenNotFound {
		t.Errorf("Revoke of an invite: got error %v, want %v", err, ErrTokenNotFound)
	}
	// Good up to its expiry, not at it.
	w.clock.set(bob.Expires)
	w.wantInvites()
	w.wantNoEntry(bob.Code)
	if err := w.iss.RevokeInvite(ctx, bob.ID); err != ErrInviteNotFound {
		t.Errorf("RevokeInvite of one that expired: got error %v, want %v", err, ErrInviteNotFound)
	}
	for _, cursor := range []string{"x", acct.ID.String(), strings.ToUpper(bob.ID.String()), "{" + bob.ID.String() + "}"} {
		if _, err := w.iss.InvitePage(ctx, cursor, 0); !errors.Is(err, ErrBadCursor) {
			t.Errorf("InvitePage %q: got error %v, want %v", cursor, err, ErrBadCursor)
		}
	}
	for _, limit := range []int{-1, MaxPage + 1} {
		if _, err := w.iss.InvitePage(ctx, "", limit); !errors.Is(err, ErrBadRange) {
			t.Errorf("InvitePage of %d: got error %v, want %v", limit, err, ErrBadRange)
		}
	}
}

func TestInviteRequests(t *testing.T) {
	w := newTokenWorld(t)
	now := w.clock.Now()
	for _, tt := range []struct {
		r    InviteRequest
		want error
	}{
		{InviteRequest{Label: strings.Repeat("ä", 64), Expires: now.Add(time.Microsecond)}, nil},
		{InviteRequest{Label: strings.Repeat("ä", 65)}, ErrBadLabel},
		{InviteRequest{Label: "a\nb"}, ErrBadLabel},
		{InviteRequest{Label: "\xff"}, ErrBadLabel},
		{InviteRequest{Expires: now}, ErrBadExpiry},
		{InviteRequest{Expires: now.Add(-time.Hour)}, ErrBadExpiry},
		{InviteRequest{Expires: now.Add(MaxInviteLife + time.Microsecond)}, ErrBadExpiry},
	} {
		if got, err := w.iss.Invite(context.Background(), tt.r); !errors.Is(err, tt.want) || err != nil && got != (IssuedInvite{}) {
			t.Errorf("%+v: got %v, error %v, want error %v", tt.r, got, err, tt.want)
		}
	}
}

// TestInviteHidesCode prints an invite in every way: its code is not there.
func TestInviteHidesCode(t *testing.T) {
	w := newTokenWorld(t)
	inv := w.invite(InviteRequest{Label: "Ann"})
	for _, s := range []string{
		fmt.Sprint(inv), fmt.Sprintf("%v %+v %#v %s %q %x %d", inv, inv, inv, inv, inv, inv, inv), inv.LogValue().String(),
		fmt.Sprintf("%v", []IssuedInvite{inv}), fmt.Sprintf("%+v", &inv),
	} {
		if strings.Contains(s, inv.Code) || strings.Contains(s, fmt.Sprintf("%x", inv.Code)) || !strings.Contains(s, inv.ID.String()) {
			t.Errorf("got %s", s)
		}
	}
}

// TestInviteUsedAtOnce has many use an invite at the same time, all judged in
// one commit: it opens one account.
func TestInviteUsedAtOnce(t *testing.T) {
	w := newTokenWorld(t)
	ctx := context.Background()
	code := w.invite(InviteRequest{}).Code
	hash, _ := hashCode(code)
	inv, err := w.led.inviteByHash(ctx, hash)
	if err != nil {
		t.Fatal(err)
	}
	before := w.led.Stats()
	const callers = 20
	results := make(chan error, callers+1)
	w.led.writing.Lock() // so that they gather
	for n := range callers {
		go func() {
			tok := record.Token{Selector: [16]byte{byte(n), 1}, Expires: w.clock.Now().Add(time.Hour).UnixMicro()}
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
	w.wantNoEntry(code)
	w.wantInvites()
}

// TestInviteUsedByMany is that from outside, with hashes in between.
func TestInviteUsedByMany(t *testing.T) {
	w := newTokenWorld(t)
	code := w.invite(InviteRequest{}).Code
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
		case err != ErrInvalidInvite:
			t.Errorf("got error %v", err)
		}
	}
	if got := w.led.Stats().Accounts; opened != 1 || got != 2 {
		t.Errorf("%d calls opened an account, there are %d", opened, got)
	}
}

// TestInviteJudgedAgain lets an invite expire, and be taken by another hash,
// between the look at it and the commit.
func TestInviteJudgedAgain(t *testing.T) {
	w := newTokenWorld(t)
	ctx := context.Background()
	made := w.invite(InviteRequest{})
	hash, _ := hashCode(made.Code)
	inv, err := w.led.inviteByHash(ctx, hash)
	if err != nil {
		t.Fatal(err)
	}
	again := record.Invite{Hash: hash, Expires: inv.Expires}
	if err := w.led.makeInvite(ctx, &again); err != errSelectorTaken {
		t.Errorf("a second invite of the code: got error %v, want %v", err, errSelectorTaken)
	}
	tok := record.Token{Selector: inv.Selector(), Expires: inv.Expires, Account: w.openBare()}
	if _, err := w.led.issueToken(ctx, tok); err != errSelectorTaken {
		t.Errorf("a token of the invite's selector: got error %v, want %v", err, errSelectorTaken)
	}
	other := hash
	other[31]++
	if _, err := w.led.inviteByHash(ctx, other); err != ErrInvalidInvite {
		t.Errorf("a hash that only begins like it: got error %v, want %v", err, ErrInvalidInvite)
	}
	w.clock.set(made.Expires)
	before := w.led.Stats().Position
	tok = record.Token{Selector: [16]byte{1}, Expires: w.clock.Now().Add(time.Hour).UnixMicro()}
	if _, _, err := w.led.openAccount(ctx, PublicKey{}, &tok, &inv); err != ErrInvalidInvite {
		t.Errorf("expired meanwhile: got error %v, want %v", err, ErrInvalidInvite)
	}
	if got := w.led.Stats().Position; got != before {
		t.Errorf("%d records were written", got-before)
	}
}

// TestInviteIsNoToken presents a token that begins like the hash of an invite,
// which everybody can make who has one. It is none, and no damage.
func TestInviteIsNoToken(t *testing.T) {
	w := newTokenWorld(t)
	hash, _ := hashCode(w.invite(InviteRequest{}).Code)
	var token wireToken
	copy(token[:], hash[:])
	for range 2 {
		w.wantInvalid(w.iss, token.text())
		if err := w.led.Err(); err != nil {
			t.Fatal(err)
		}
		w.reopen()
	}
}

// TestInvitesAreSwept lets invites expire: their rows go.
func TestInvitesAreSwept(t *testing.T) {
	defer TuneFolding(10, 8)()
	w := newTokenWorld(t)
	acct := w.openBare()
	short, long := w.invite(InviteRequest{Expires: w.clock.Now().Add(time.Hour)}), w.invite(InviteRequest{})
	rows := func() (n int) {
		for range 40 {
			if _, err := w.led.Transfer(t.Context(), Transfer{Sender: DefaultSeedAccount(), Receiver: acct, Amount: 1}); err != nil {
				t.Fatal(err)
			}
		}
		if rep, err := w.led.Audit(t.Context(), nil); err != nil || rep.Err() != nil {
			t.Fatal(err, rep.Err())
		}
		if err := w.led.scanTokenRows(t.Context(), func([record.SelectorLen]byte, tokenRow) { n++ }); err != nil {
			t.Fatal(err)
		}
		return n
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

// TestReplayRefusesInvites plants ends of invites that do not follow from the
// records before them, and has the rows made again: the ledger is damaged.
func TestReplayRefusesInvites(t *testing.T) {
	for name, plant := range map[string]func(*auditWorld, *record.Record){
		"used and revoked": func(w *auditWorld, r *record.Record) { r.Body.(*record.InviteEnd).Invite = w.used.Position },
		"of no invite":     func(w *auditWorld, r *record.Record) { r.Body.(*record.InviteEnd).Invite = w.live.Position },
		"of an expired one": func(w *auditWorld, r *record.Record) {
			r.Body.(*record.InviteEnd).Invite = w.invite.Position + 1
			r.Time += time.Minute.Microseconds()
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newAuditWorld(t)
			w.record(t, w.usedEnd+1, func(r *record.Record) { plant(w, r) })
			inBolt(t, w.path, func(tx *bolt.Tx) error {
				for _, bucket := range boltTables {
					if err := tx.DeleteBucket(bucket); err != nil {
						return err
					}
					if _, err := tx.CreateBucket(bucket); err != nil {
						return err
					}
				}
				return nil
			})
			led, err := Open(w.path, &Options{Clock: w.clock})
			if !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("got error %v, want %v", err, store.ErrCorrupt)
			}
			if err == nil {
				led.Close()
			}
		})
	}
}
