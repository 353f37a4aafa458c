package capycoin_test

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

func TestTokenOfNewAccount(t *testing.T) {
	w := newTokenWorld(t)
	before := w.led.Stats()
	acct, tok := w.account()
	after := w.led.Stats()

	if got := after.Commits.Count - before.Commits.Count; got != 1 {
		t.Errorf("commits: got %d, want 1", got)
	}
	if len(tok.Secret) != 256 || strings.Trim(tok.Secret, "0123456789ABCDEF") != "" {
		t.Errorf("Secret: got %q, want 256 upper-case hexadecimal digits", tok.Secret)
	}
	now := w.clock.Now()
	want := capycoin.Token{ID: tok.ID, Account: acct.ID, Created: now, Expires: now.Add(30 * 24 * time.Hour)}
	if tok.Token != want {
		t.Errorf("token: got %+v, want %+v", tok.Token, want)
	}
	if tok.ID.Version() != 7 || tok.ID.Variant() != uuid.RFC4122 {
		t.Errorf("token id %s: got version %d, variant %v; want version 7, variant %v", tok.ID, tok.ID.Version(), tok.ID.Variant(), uuid.RFC4122)
	}
	got, err := w.led.Account(context.Background(), acct.ID)
	if err != nil || got != acct || acct.Funds != 0 || !acct.Created.Equal(now) {
		t.Errorf("account: got %+v, error %v; opened as %+v", got, err, acct)
	}
	w.wantValid(w.iss, tok.Secret, want)
	w.wantValid(w.iss, strings.ToLower(tok.Secret), want)
	w.wantValid(w.issuer(nil), strings.ToLower(tok.Secret), want)
	w.wantList(acct.ID, want)
}

func TestTokenOptions(t *testing.T) {
	w := newTokenWorld(t)
	for _, tt := range []struct {
		name  string
		opts  capycoin.TokenOptions
		field string // empty: allowed
	}{
		{"zero", capycoin.TokenOptions{}, ""},
		{"lowest", capycoin.TokenOptions{BcryptCost: 4, Life: time.Second, CacheSize: 1, MaxHashing: 1}, ""},
		{"highest", capycoin.TokenOptions{BcryptCost: 14, Life: 30 * 24 * time.Hour, MaxHashing: 1_024}, ""},
		{"cost low", capycoin.TokenOptions{BcryptCost: 3}, "BcryptCost"},
		{"cost high", capycoin.TokenOptions{BcryptCost: 15}, "BcryptCost"},
		{"cost negative", capycoin.TokenOptions{BcryptCost: -1}, "BcryptCost"},
		{"life short", capycoin.TokenOptions{Life: time.Second - 1}, "Life"},
		{"life long", capycoin.TokenOptions{Life: 30*24*time.Hour + 1}, "Life"},
		{"life negative", capycoin.TokenOptions{Life: -time.Hour}, "Life"},
		{"cache negative", capycoin.TokenOptions{CacheSize: -1}, "CacheSize"},
		{"cache large", capycoin.TokenOptions{CacheSize: 10_000_001}, "CacheSize"},
		{"hashing negative", capycoin.TokenOptions{MaxHashing: -1}, "MaxHashing"},
		{"hashing large", capycoin.TokenOptions{MaxHashing: 1_025}, "MaxHashing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			iss, err := capycoin.NewTokenIssuer(w.led, &tt.opts)
			if tt.field == "" {
				if err != nil || iss == nil {
					t.Fatalf("got %v, error %v; want an issuer", iss, err)
				}
				return
			}
			var oe *capycoin.OptionError
			if !errors.As(err, &oe) || !errors.Is(err, capycoin.ErrBadOption) || oe.Field != tt.field || iss != nil {
				t.Fatalf("got error %v; want an OptionError of %s", err, tt.field)
			}
		})
	}
	if iss, err := capycoin.NewTokenIssuer(w.led, nil); err != nil || iss == nil {
		t.Errorf("without options: got %v, error %v; want an issuer", iss, err)
	}
	w.close()
	if _, err := capycoin.NewTokenIssuer(w.led, nil); !errors.Is(err, capycoin.ErrClosed) {
		t.Errorf("closed ledger: got error %v, want %v", err, capycoin.ErrClosed)
	}
}

func TestTokenLabels(t *testing.T) {
	w := newTokenWorld(t)
	acct, _ := w.account()
	for _, tt := range []struct {
		label string
		want  error
	}{
		{"", nil},
		{"phone", nil},
		{" the phone, upstairs ", nil},
		{strings.Repeat("ü", 64), nil},
		{strings.Repeat("🦫", 64), nil},
		{strings.Repeat("x", 65), capycoin.ErrBadLabel},
		{strings.Repeat("ü", 65), capycoin.ErrBadLabel},
		{"a\x00b", capycoin.ErrBadLabel},
		{"a\nb", capycoin.ErrBadLabel},
		{"\x7f", capycoin.ErrBadLabel},
		{"\u0085", capycoin.ErrBadLabel},
		{"a\xffb", capycoin.ErrBadLabel},
		{"\xed\xa0\x80", capycoin.ErrBadLabel}, // a surrogate is no UTF-8
	} {
		tok, err := w.iss.Issue(context.Background(), acct.ID, capycoin.TokenRequest{Label: tt.label})
		if !errors.Is(err, tt.want) {
			t.Errorf("label %q: got error %v, want %v", tt.label, err, tt.want)
			continue
		}
		if err == nil {
			if tok.Label != tt.label {
				t.Errorf("label %q: got %q", tt.label, tok.Label)
			}
			w.wantValid(w.issuer(nil), tok.Secret, tok.Token)
		}
	}
}

func TestTokenExpiryAsked(t *testing.T) {
	w := newTokenWorld(t)
	w.iss = w.issuer(&capycoin.TokenOptions{BcryptCost: 4, Life: time.Hour})
	acct, tok := w.account()
	now := w.clock.Now()
	if want := now.Add(time.Hour); !tok.Expires.Equal(want) {
		t.Errorf("first token: expires %v, want %v", tok.Expires, want)
	}
	for _, tt := range []struct {
		name   string
		asked  time.Time
		stored time.Time // zero: refused
	}{
		{"full life", time.Time{}, now.Add(time.Hour)},
		{"next microsecond", now.Add(time.Microsecond), now.Add(time.Microsecond)},
		{"whole life", now.Add(time.Hour), now.Add(time.Hour)},
		{"cut", now.Add(time.Minute + 999), now.Add(time.Minute)},
		{"cut to a whole life", now.Add(time.Hour + 999), now.Add(time.Hour)},
		{"another zone", now.Add(time.Minute).In(time.FixedZone("far", 14*3600)), now.Add(time.Minute)},
		{"now", now, time.Time{}},
		{"cut to now", now.Add(999), time.Time{}},
		{"past", now.Add(-time.Second), time.Time{}},
		{"a microsecond too long", now.Add(time.Hour + time.Microsecond), time.Time{}},
		{"before 1970", time.Date(1066, 10, 14, 0, 0, 0, 0, time.UTC), time.Time{}},
		{"beyond int64", time.Unix(1<<60, 0), time.Time{}},
		{"1970", time.Unix(0, 0), time.Time{}},
	} {
		tok, err := w.iss.Issue(context.Background(), acct.ID, capycoin.TokenRequest{Expires: tt.asked})
		if tt.stored.IsZero() {
			if !errors.Is(err, capycoin.ErrBadExpiry) {
				t.Errorf("%s: got expiry %v, error %v; want %v", tt.name, tok.Expires, err, capycoin.ErrBadExpiry)
			}
			continue
		}
		if err != nil || tok.Expires != tt.stored {
			t.Errorf("%s: got expiry %v, error %v; want %v", tt.name, tok.Expires, err, tt.stored)
		}
	}
}

// TestTokenIssueChecks has requests with two faults each: the earlier check
// wins, and no request is hashed.
func TestTokenIssueChecks(t *testing.T) {
	w := newTokenWorld(t)
	acct, _ := w.account()
	for range capycoin.MaxTokens - 1 {
		w.issue(acct.ID, capycoin.TokenRequest{})
	}
	var (
		seed    = capycoin.DefaultSeedAccount()
		unknown = uuid.MustParse("7f4b9b5e-0c7b-4f5a-9d0a-3f1d6f2b8c11")
		label   = "\n"
		past    = w.clock.Now()
	)
	before := w.iss.Stats().HashRuns
	position := w.led.Stats().Position
	for _, tt := range []struct {
		name    string
		account uuid.UUID
		request capycoin.TokenRequest
		want    error
	}{
		{"label, expiry", acct.ID, capycoin.TokenRequest{Label: label, Expires: past}, capycoin.ErrBadLabel},
		{"label, seed", seed, capycoin.TokenRequest{Label: label}, capycoin.ErrBadLabel},
		{"expiry, seed", seed, capycoin.TokenRequest{Expires: past}, capycoin.ErrBadExpiry},
		{"expiry, unknown", unknown, capycoin.TokenRequest{Expires: past}, capycoin.ErrBadExpiry},
		{"expiry, too many", acct.ID, capycoin.TokenRequest{Expires: past}, capycoin.ErrBadExpiry},
		{"seed", seed, capycoin.TokenRequest{}, capycoin.ErrSeedToken},
		{"unknown", unknown, capycoin.TokenRequest{}, capycoin.ErrAccountNotFound},
		{"nil account", uuid.Nil, capycoin.TokenRequest{}, capycoin.ErrAccountNotFound},
		{"too many", acct.ID, capycoin.TokenRequest{}, capycoin.ErrTooManyTokens},
	} {
		tok, err := w.iss.Issue(context.Background(), tt.account, tt.request)
		if !errors.Is(err, tt.want) || tok != (capycoin.IssuedToken{}) {
			t.Errorf("%s: got %v, error %v; want no token, error %v", tt.name, tok, err, tt.want)
		}
	}
	if got := w.iss.Stats().HashRuns; got != before {
		t.Errorf("hash runs: got %d, want %d as before", got, before)
	}
	if got := w.led.Stats().Position; got != position {
		t.Errorf("position: got %d, want %d as before", got, position)
	}
}

func TestTokenListAndRevoke(t *testing.T) {
	w := newTokenWorld(t)
	a, first := w.account()
	b, other := w.account()
	w.clock.advance(time.Second)
	second := w.issue(a.ID, capycoin.TokenRequest{Label: "second"})
	third := w.issue(a.ID, capycoin.TokenRequest{Label: "third", Expires: w.clock.Now().Add(time.Minute)})
	w.wantList(a.ID, first.Token, second.Token, third.Token)
	w.wantList(capycoin.DefaultSeedAccount())

	unknown := uuid.MustParse("7f4b9b5e-0c7b-4f5a-9d0a-3f1d6f2b8c11")
	if got, err := w.iss.List(context.Background(), unknown); !errors.Is(err, capycoin.ErrAccountNotFound) {
		t.Errorf("List of an unknown account: got %v, error %v; want %v", got, err, capycoin.ErrAccountNotFound)
	}
	notIt := second.ID
	notIt[7] ^= 1
	for _, tt := range []struct {
		name        string
		account, id uuid.UUID
	}{
		{"another's", a.ID, other.ID},
		{"unknown account", unknown, first.ID},
		{"the seed account", capycoin.DefaultSeedAccount(), first.ID},
		{"nil", a.ID, uuid.Nil},
		{"random", a.ID, unknown},
		{"half a match", a.ID, notIt},
	} {
		if err := w.iss.Revoke(context.Background(), tt.account, tt.id); !errors.Is(err, capycoin.ErrTokenNotFound) {
			t.Errorf("Revoke of %s: got error %v, want %v", tt.name, err, capycoin.ErrTokenNotFound)
		}
	}
	w.wantList(a.ID, first.Token, second.Token, third.Token)

	w.revoke(a.ID, second.ID)
	w.wantList(a.ID, first.Token, third.Token)
	if err := w.iss.Revoke(context.Background(), a.ID, second.ID); !errors.Is(err, capycoin.ErrTokenNotFound) {
		t.Errorf("Revoke again: got error %v, want %v", err, capycoin.ErrTokenNotFound)
	}
	w.clock.advance(time.Minute)
	w.wantList(a.ID, first.Token)
	if err := w.iss.Revoke(context.Background(), a.ID, third.ID); !errors.Is(err, capycoin.ErrTokenNotFound) {
		t.Errorf("Revoke of an expired token: got error %v, want %v", err, capycoin.ErrTokenNotFound)
	}
	w.wantList(b.ID, other.Token)
	w.wantInvalid(w.iss, second.Secret)
	w.wantInvalid(w.iss, third.Secret)
	w.wantValid(w.iss, first.Secret, first.Token)
	w.wantValid(w.iss, other.Secret, other.Token)
}

func TestTokenLimitFreedByExpiryAndRevoking(t *testing.T) {
	w := newTokenWorld(t)
	acct, first := w.account()
	short := w.issue(acct.ID, capycoin.TokenRequest{Expires: w.clock.Now().Add(time.Minute)})
	for range capycoin.MaxTokens - 2 {
		w.issue(acct.ID, capycoin.TokenRequest{})
	}
	wantFull := func() {
		t.Helper()
		if tok, err := w.iss.Issue(context.Background(), acct.ID, capycoin.TokenRequest{}); !errors.Is(err, capycoin.ErrTooManyTokens) {
			t.Fatalf("an eleventh token: got %v, error %v; want %v", tok, err, capycoin.ErrTooManyTokens)
		}
	}
	wantFull()
	w.clock.set(short.Expires.Add(-time.Microsecond))
	wantFull()
	w.clock.set(short.Expires)
	w.issue(acct.ID, capycoin.TokenRequest{})
	wantFull()
	w.revoke(acct.ID, first.ID)
	w.issue(acct.ID, capycoin.TokenRequest{})
	wantFull()
	if got, err := w.iss.List(context.Background(), acct.ID); err != nil || len(got) != capycoin.MaxTokens {
		t.Fatalf("List: got %d tokens, error %v; want %d", len(got), err, capycoin.MaxTokens)
	}
	w.reopen()
	wantFull()
}

// TestTokenLimitAtOnce has more callers than places: all of them pass the
// check before the hash, and the writer lets in as many as there is room for.
func TestTokenLimitAtOnce(t *testing.T) {
	w := newTokenWorld(t)
	acct, _ := w.account()
	var (
		wg   sync.WaitGroup
		errs = make([]error, 3*capycoin.MaxTokens)
	)
	for n := range errs {
		wg.Go(func() { _, errs[n] = w.iss.Issue(context.Background(), acct.ID, capycoin.TokenRequest{}) })
	}
	wg.Wait()
	var issued int
	for _, err := range errs {
		switch {
		case err == nil:
			issued++
		case !errors.Is(err, capycoin.ErrTooManyTokens):
			t.Errorf("got error %v, want %v", err, capycoin.ErrTooManyTokens)
		}
	}
	if issued != capycoin.MaxTokens-1 {
		t.Errorf("issued: got %d, want %d", issued, capycoin.MaxTokens-1)
	}
	if got, err := w.iss.List(context.Background(), acct.ID); err != nil || len(got) != capycoin.MaxTokens {
		t.Errorf("List: got %d tokens, error %v; want %d", len(got), err, capycoin.MaxTokens)
	}
}

func TestTokensAfterReopening(t *testing.T) {
	w := newTokenWorld(t)
	acct, first := w.account()
	second := w.issue(acct.ID, capycoin.TokenRequest{Label: "kept"})
	third := w.issue(acct.ID, capycoin.TokenRequest{Label: "expires", Expires: w.clock.Now().Add(time.Hour)})
	w.wantValid(w.iss, first.Secret, first.Token)
	w.revoke(acct.ID, first.ID)
	for range 3 {
		w.reopen()
		w.wantInvalid(w.iss, first.Secret)
		w.wantValid(w.iss, second.Secret, second.Token)
		w.wantValid(w.iss, third.Secret, third.Token)
		w.wantList(acct.ID, second.Token, third.Token)
	}
	w.clock.set(third.Expires)
	w.reopen()
	w.wantInvalid(w.iss, third.Secret)
	w.wantList(acct.ID, second.Token)
	w.revoke(acct.ID, second.ID)
	w.reopen()
	w.wantInvalid(w.iss, second.Secret)
	w.wantList(acct.ID)
}

// TestTokenSelectorTaken draws a token whose selector another one has: the
// issuer draws again, and both tokens are good.
func TestTokenSelectorTaken(t *testing.T) {
	w := newTokenWorld(t)
	acct, first := w.account()
	taken, err := hex.DecodeString(first.Secret)
	if err != nil {
		t.Fatal(err)
	}
	draws := 0
	w.random.onDraw(func(token []byte) {
		if draws++; draws == 1 {
			copy(token[:16], taken)
		}
	})
	second := w.issue(acct.ID, capycoin.TokenRequest{})
	if draws != 2 {
		t.Errorf("draws: got %d, want 2", draws)
	}
	w.wantValid(w.iss, first.Secret, first.Token)
	w.wantValid(w.iss, second.Secret, second.Token)

	w.random.onDraw(func(token []byte) { copy(token, taken) })
	if tok, err := w.iss.Issue(context.Background(), acct.ID, capycoin.TokenRequest{}); err == nil {
		t.Errorf("a source that repeats itself: got %v, want an error", tok)
	}
	w.wantList(acct.ID, first.Token, second.Token)
}
