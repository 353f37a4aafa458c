package capycoin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/store"
)

func TestVerifyMalformed(t *testing.T) {
	w := newTokenWorld(t)
	_, tok := w.account()
	before := w.iss.Stats()
	for _, secret := range []string{
		"",
		"x",
		tok.Secret[:255],
		tok.Secret[:254],
		tok.Secret + "0",
		tok.Secret + "00",
		tok.Secret + tok.Secret,
		" " + tok.Secret[1:],
		tok.Secret[:255] + "G",
		tok.Secret[:255] + "\x00",
		"0x" + tok.Secret[:254],
		tok.Secret[:254] + "é",
		tok.Secret + "\n",
		strings.Repeat("\xff", 256),
		strings.Repeat("A", 1<<20),
	} {
		w.wantInvalid(w.iss, secret)
	}
	after := w.iss.Stats()
	if after != before {
		t.Errorf("stats: got %+v, want %+v as before", after, before)
	}
	w.wantValid(w.iss, tok.Secret, tok.Token)
}

// TestVerifyEveryByteCounts changes one byte after the other, above all those
// that bcrypt would not read.
func TestVerifyEveryByteCounts(t *testing.T) {
	w := newTokenWorld(t)
	_, tok := w.account()
	fresh := w.issuer(nil)
	w.wantValid(w.iss, tok.Secret, tok.Token)
	for at := range wireTokenLen {
		wrong := flip(t, tok.Secret, at)
		w.wantInvalid(w.iss, wrong)
		w.wantInvalid(fresh, wrong)
	}
	if got := fresh.Stats().HashRuns; got != 0 {
		t.Errorf("hash runs for wrong tokens: got %d, want 0", got)
	}
	w.wantValid(w.iss, tok.Secret, tok.Token)
	w.wantValid(fresh, tok.Secret, tok.Token)
}

// TestVerifyHashReadsWholeToken has records whose selector and tag are those
// of the token presented but whose hash is that of one that differs in one
// byte, behind the 72 that bcrypt reads and in front: only the hash tells.
func TestVerifyHashReadsWholeToken(t *testing.T) {
	w := newTokenWorld(t)
	acct, _ := w.account()
	for _, at := range []int{16, 71, 72, 100, 127} {
		var owned, wrong wireToken
		w.iss.hasher.draw(&owned)
		wrong = owned
		wrong[at] ^= 1
		hash, err := w.iss.hasher.hash(context.Background(), &owned)
		if err != nil {
			t.Fatalf("hash: %v", err)
		}
		rec, err := w.led.issueToken(context.Background(), record.Token{
			Account: acct.ID, Selector: wrong.selector(), Tag: wrong.tag(), Hash: hash,
			Expires: w.clock.Now().Add(time.Hour).UnixMicro(),
		})
		if err != nil {
			t.Fatalf("issueToken: %v", err)
		}
		before := w.iss.Stats().HashRuns
		for n := range 3 {
			w.wantInvalid(w.iss, wrong.text())
			if got, want := w.iss.Stats().HashRuns-before, uint64(n+1); got != want {
				t.Errorf("byte %d: got %d hash runs, want %d: a failed check is not remembered", at, got, want)
			}
		}
		if err := compareHash(rec.Hash, &owned); err != nil {
			t.Errorf("byte %d: the token that was hashed: got error %v, want none", at, err)
		}
	}
}

func TestVerifyExpiryIsExact(t *testing.T) {
	w := newTokenWorld(t)
	acct, _ := w.account()
	tok := w.issue(acct.ID, TokenRequest{Expires: w.clock.Now().Add(time.Minute)})
	w.wantValid(w.iss, tok.Secret, tok.Token) // cached from here on
	runs := w.iss.Stats().HashRuns

	w.clock.set(tok.Expires.Add(-time.Microsecond))
	w.wantValid(w.iss, tok.Secret, tok.Token)
	w.wantValid(w.issuer(nil), tok.Secret, tok.Token)
	if got := w.iss.Stats(); got.HashRuns != runs || got.CacheHits == 0 {
		t.Fatalf("stats: got %+v; want no further hash than %d, and a hit", got, runs)
	}
	w.clock.set(tok.Expires)
	cold := w.issuer(nil)
	for range 2 {
		w.wantInvalid(w.iss, tok.Secret)
		w.wantInvalid(cold, tok.Secret)
	}
	if got := cold.Stats().HashRuns; got != 0 {
		t.Errorf("hash runs of an expired token: got %d, want 0", got)
	}
	if n := w.iss.hasher.cache.Len(); n != 0 {
		t.Errorf("cache: got %d entries, want the expired one gone", n)
	}
}

// TestVerifyClockStepsBack has the clock step back over an expiry that a
// record of the ledger is already past: the token stays expired.
func TestVerifyClockStepsBack(t *testing.T) {
	w := newTokenWorld(t)
	acct, _ := w.account()
	tok := w.issue(acct.ID, TokenRequest{Expires: w.clock.Now().Add(time.Minute)})
	w.wantValid(w.iss, tok.Secret, tok.Token)
	w.clock.set(tok.Expires)
	w.openBare()
	w.clock.set(tok.Created)
	w.wantInvalid(w.iss, tok.Secret)
	w.wantInvalid(w.issuer(nil), tok.Secret)
}

func TestVerifyRevokedWhileCached(t *testing.T) {
	w := newTokenWorld(t)
	acct, tok := w.account()
	other := w.issuer(nil)
	w.wantValid(w.iss, tok.Secret, tok.Token)
	w.wantValid(other, tok.Secret, tok.Token)
	w.revoke(acct.ID, tok.ID)
	for range 2 {
		w.wantInvalid(w.iss, tok.Secret)
		w.wantInvalid(other, tok.Secret)
		w.wantInvalid(w.issuer(nil), tok.Secret)
	}
	if n := w.iss.hasher.cache.Len(); n != 0 {
		t.Errorf("cache: got %d entries, want the revoked one gone", n)
	}
}

// TestVerifyRevokedAtOnce verifies all the time while a token is revoked: what
// begins after Revoke returned is refused.
func TestVerifyRevokedAtOnce(t *testing.T) {
	w := newTokenWorld(t)
	acct, tok := w.account()
	var (
		wg      sync.WaitGroup
		revoked atomic.Bool
		refused atomic.Int64
		stop    = make(chan struct{})
	)
	for n := range 4 {
		iss := w.iss
		if n%2 == 1 {
			iss = w.issuer(nil)
		}
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				late := revoked.Load()
				_, err := iss.Verify(context.Background(), tok.Secret)
				switch {
				case err == ErrInvalidToken:
					refused.Add(1)
				case err != nil:
					t.Errorf("Verify: %v", err)
					return
				case late:
					t.Error("a token was accepted after Revoke had returned")
					return
				}
			}
		})
	}
	time.Sleep(5 * time.Millisecond)
	w.revoke(acct.ID, tok.ID)
	revoked.Store(true)
	for deadline := time.Now().Add(10 * time.Second); refused.Load() < 100 && !t.Failed() && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	close(stop)
	wg.Wait()
	if refused.Load() < 100 {
		t.Errorf("refused: got %d, want at least 100", refused.Load())
	}
}

// TestVerifyRevokedWhileHashed revokes a token and lets another expire while
// their checks wait for their turn.
func TestVerifyRevokedWhileHashed(t *testing.T) {
	w := newTokenWorld(t)
	acct, revoked := w.account()
	expired := w.issue(acct.ID, TokenRequest{Expires: w.clock.Now().Add(time.Minute)})
	release := w.holdSlots()
	a := w.verifyLater(context.Background(), revoked.Secret)
	b := w.verifyLater(context.Background(), expired.Secret)
	w.waitCallers(2)
	w.revoke(acct.ID, revoked.ID)
	w.clock.set(expired.Expires)
	release()
	for _, ch := range []chan error{a, b} {
		if err := <-ch; err != ErrInvalidToken {
			t.Errorf("got error %v, want %v", err, ErrInvalidToken)
		}
	}
	w.wantInvalid(w.iss, revoked.Secret)
	w.wantInvalid(w.iss, expired.Secret)
}

func TestVerifyWrongTokensCostNoHash(t *testing.T) {
	w := newTokenWorld(t)
	_, tok := w.account()
	w.wantValid(w.iss, tok.Secret, tok.Token)
	before := w.iss.Stats().HashRuns
	for range 200 {
		var token wireToken
		w.iss.hasher.draw(&token)
		w.wantInvalid(w.iss, token.text()) // unknown
		own, _ := parseToken(tok.Secret)
		copy(token[:record.SelectorLen], own[:])
		w.wantInvalid(w.iss, token.text()) // wrong
	}
	got := w.iss.Stats()
	if got.HashRuns != before {
		t.Errorf("hash runs: got %d, want %d as before", got.HashRuns, before)
	}
	if got.CacheMisses < 400 {
		t.Errorf("cache misses: got %d, want at least 400", got.CacheMisses)
	}
	if n := w.iss.hasher.cache.Len(); n != 1 {
		t.Errorf("cache: got %d entries, want the good one alone", n)
	}
	w.wantValid(w.iss, tok.Secret, tok.Token)
}

func TestClosedIssuer(t *testing.T) {
	w := newTokenWorld(t)
	acct, tok := w.account()
	w.wantValid(w.iss, tok.Secret, tok.Token)
	w.close()
	ctx := context.Background()
	for name, call := range map[string]func() error{
		"Verify, cached": func() error { _, err := w.iss.Verify(ctx, tok.Secret); return err },
		"Issue":          func() error { _, err := w.iss.Issue(ctx, acct.ID, TokenRequest{}); return err },
		"OpenAccount":    func() error { _, _, err := w.iss.OpenAccount(ctx); return err },
		"List":           func() error { _, err := w.iss.List(ctx, acct.ID); return err },
		"Revoke":         func() error { return w.iss.Revoke(ctx, acct.ID, tok.ID) },
	} {
		if err := call(); !errors.Is(err, ErrClosed) {
			t.Errorf("%s: got error %v, want %v", name, err, ErrClosed)
		}
	}
}

// TestVerifyOtherCost has tokens of other costs: the cost is for new ones.
func TestVerifyOtherCost(t *testing.T) {
	w := newTokenWorld(t)
	acct, low := w.account()
	high := w.issuer(&TokenOptions{BcryptCost: 6, Life: time.Hour})
	tok, err := high.Issue(context.Background(), acct.ID, TokenRequest{})
	if err != nil {
		t.Fatalf("Issue: %v", err)
	}
	for want, tok := range map[int]IssuedToken{4: low, 6: tok} {
		token, _ := parseToken(tok.Secret)
		rec, ok, err := w.led.tokenBySelector(context.Background(), token.selector())
		if err != nil || !ok {
			t.Fatalf("tokenBySelector: got %v, error %v; want a record", ok, err)
		}
		if got, err := bcrypt.Cost(rec.Hash[:]); err != nil || got != want {
			t.Errorf("cost: got %d, error %v; want %d", got, err, want)
		}
		w.wantValid(w.issuer(nil), tok.Secret, tok.Token)
		w.wantValid(w.issuer(&TokenOptions{BcryptCost: 5}), tok.Secret, tok.Token)
	}
}

func TestCompareHashDamaged(t *testing.T) {
	good, err := bcrypt.GenerateFromPassword((&wireToken{}).bcryptInput(), 4)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		edit func(hash []byte)
		want error
	}{
		{"whole", func([]byte) {}, nil},
		{"last digit", func(h []byte) { h[59] ^= 1 }, ErrInvalidToken},
		{"zeroed", func(h []byte) { clear(h) }, store.ErrCorrupt},
		{"version", func(h []byte) { h[1] = '9' }, store.ErrCorrupt},
		{"cost 31", func(h []byte) { copy(h[4:], "31") }, store.ErrCorrupt},
		{"cost 15", func(h []byte) { copy(h[4:], "15") }, store.ErrCorrupt},
		{"cost 3", func(h []byte) { copy(h[4:], "03") }, store.ErrCorrupt},
		{"cost no number", func(h []byte) { copy(h[4:], "xx") }, store.ErrCorrupt},
		{"salt", func(h []byte) { h[10] = '*' }, store.ErrCorrupt},
	} {
		hash := [60]byte(good)
		tt.edit(hash[:])
		if err := compareHash(hash, &wireToken{}); !errors.Is(err, tt.want) {
			t.Errorf("%s: got error %v, want %v", tt.name, err, tt.want)
		}
	}
}

// TestTokenDerivations pins what is kept of a token: changing it would lock
// everybody out.
func TestTokenDerivations(t *testing.T) {
	var token wireToken
	for n := range token {
		token[n] = byte(n)
	}
	if got, want := fmt.Sprintf("%x", token.selector()), "000102030405060708090a0b0c0d0e0f"; got != want {
		t.Errorf("selector: got %s, want %s", got, want)
	}
	if got, want := fmt.Sprintf("%x", token.tag()), "9e3267a8e9affa74"; got != want {
		t.Errorf("tag: got %s, want %s", got, want)
	}
	if got, want := string(token.bcryptInput()), "032c731089b1c37c79c4958b749558c5b0b9d7f053a1f4ffd44f9f979ea6c7c0"; got != want {
		t.Errorf("input of bcrypt: got %s, want %s", got, want)
	}
}

func TestSecretIsNotPrinted(t *testing.T) {
	w := newTokenWorld(t)
	acct, _ := w.account()
	tok := w.issue(acct.ID, TokenRequest{Label: "phone"})
	var out []string
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%T"} {
		out = append(out, fmt.Sprintf(format, tok), fmt.Sprintf(format, &tok),
			fmt.Sprintf(format, []IssuedToken{tok}), fmt.Sprintf(format, struct{ T IssuedToken }{tok}))
	}
	out = append(out, tok.String(), tok.GoString(), fmt.Sprint(tok), fmt.Errorf("failed: %v", tok).Error())
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("issued", "token", tok)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("issued", "token", tok)
	slog.New(slog.NewTextHandler(&log, nil)).Info("issued", "token", &tok)
	out = append(out, log.String())

	secret := tok.Secret[:16]
	for _, s := range out {
		for _, hidden := range []string{secret, strings.ToLower(secret), fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret)} {
			if strings.Contains(s, hidden) {
				t.Errorf("a secret is printed: %.400s", s)
			}
		}
	}
	for _, want := range []string{tok.ID.String(), acct.ID.String(), "phone"} {
		if got := tok.String(); !strings.Contains(got, want) {
			t.Errorf("String: got %s, want %s in it", got, want)
		}
		if got := log.String(); !strings.Contains(got, want) {
			t.Errorf("log: got %s, want %s in it", got, want)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	w := newTokenWorld(b)
	_, tok := w.account()
	ctx := context.Background()
	if _, err := w.iss.Verify(ctx, tok.Secret); err != nil {
		b.Fatal(err)
	}
	b.Run("hit", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := w.iss.Verify(ctx, tok.Secret); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("hit, parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := w.iss.Verify(ctx, tok.Secret); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
	for name, secret := range map[string]string{"unknown": flip(b, tok.Secret, 0), "wrong": flip(b, tok.Secret, 100)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.iss.Verify(ctx, secret); err != ErrInvalidToken {
					b.Fatalf("got error %v, want %v", err, ErrInvalidToken)
				}
			}
		})
	}
}
