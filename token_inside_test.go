package capycoin

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/secret"
)

// insideWorld is a ledger with a TokenIssuer, for tests that call its writer.
type insideWorld struct {
	t   *testing.T
	now time.Time // of its clock; set while nothing is written
	led *Ledger
	iss *TokenIssuer
}

// newInsideWorld makes a ledger that is audited when the test ends.
func newInsideWorld(t *testing.T) *insideWorld {
	t.Helper()
	w := &insideWorld{t: t, now: time.Date(2026, 3, 4, 5, 6, 7, 89_012_000, time.UTC)}
	var err error
	w.led, err = Open(filepath.Join(t.TempDir(), "coins.db"), &Options{NoWitness: true, Clock: func() time.Time { return w.now }})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		report, err := w.led.Audit(context.Background(), nil)
		if err := errors.Join(err, report.Err(), w.led.Close()); err != nil {
			t.Error(err)
		}
	})
	if w.iss, err = NewTokenIssuer(w.led, &TokenOptions{BcryptCost: 4}); err != nil {
		t.Fatalf("NewTokenIssuer: %v", err)
	}
	return w
}

// account opens an account without a token.
func (w *insideWorld) account() uuid.UUID {
	w.t.Helper()
	acct, err := w.led.OpenAccount(context.Background())
	if err != nil {
		w.t.Fatalf("OpenAccount: %v", err)
	}
	return acct.ID
}

// invite makes an invite and returns its record, too.
func (w *insideWorld) invite() (IssuedInvite, record.Invite) {
	w.t.Helper()
	made, err := w.iss.Invite(context.Background(), InviteRequest{})
	if err != nil {
		w.t.Fatalf("Invite: %v", err)
	}
	hash, _ := secret.HashCode(made.Code)
	inv, err := w.led.inviteByHash(context.Background(), hash)
	if err != nil {
		w.t.Fatalf("inviteByHash: %v", err)
	}
	return made, inv
}

// TestWriterJudgesTokens: the writer judges by itself what the issuer asks before it
// hashes.
func TestWriterJudgesTokens(t *testing.T) {
	w := newInsideWorld(t)
	full := w.account()
	for range MaxTokens {
		if _, err := w.iss.Issue(context.Background(), full, TokenRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	seed, past := DefaultSeedAccount(), w.now
	unknown := uuid.MustParse("7f4b9b5e-0c7b-4f5a-9d0a-3f1d6f2b8c11")
	rec := record.Token{Expires: past.Add(time.Hour).UnixMicro()}
	for _, tt := range []struct {
		account uuid.UUID
		expires time.Time
		want    error
	}{
		{seed, past.Add(time.Hour), ErrSeedToken},
		{unknown, past.Add(time.Hour), ErrAccountNotFound},
		{full, past.Add(time.Hour), ErrTooManyTokens},
		{w.account(), past, ErrBadExpiry},
	} {
		rec.Account, rec.Expires = tt.account, tt.expires.UnixMicro()
		copy(rec.Hash[:], "$2a$04$"+strings.Repeat(".", 53))
		if _, err := w.led.issueToken(context.Background(), rec); !errors.Is(err, tt.want) {
			t.Errorf("issueToken: got error %v, want %v", err, tt.want)
		}
	}
}
