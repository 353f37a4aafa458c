package capycoin_test

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/tune"
	"github.com/capycoin/capycoin/storetest"
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
	for at := range 128 {
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

func TestVerifyExpiryIsExact(t *testing.T) {
	w := newTokenWorld(t)
	acct, _ := w.account()
	tok := w.issue(acct.ID, capycoin.TokenRequest{Expires: w.clock.Now().Add(time.Minute)})
	w.wantValid(w.iss, tok.Secret, tok.Token) // cached from here on
	runs := w.iss.Stats().HashRuns

	w.clock.set(tok.Expires.Add(-time.Microsecond))
	w.wantValid(w.iss, tok.Secret, tok.Token)
	w.wantValid(w.issuer(nil), tok.Secret, tok.Token)
	if got := w.iss.Stats(); got.HashRuns != runs || got.CacheHits == 0 {
		t.Fatalf("stats: got %+v; want no further hash than %d, and a hit", got, runs)
	}
	w.clock.set(tok.Expires)
	before, cold := w.iss.Stats(), w.issuer(nil)
	for range 2 {
		w.wantInvalid(w.iss, tok.Secret)
		w.wantInvalid(cold, tok.Secret)
	}
	if got := cold.Stats().HashRuns; got != 0 {
		t.Errorf("hash runs of an expired token: got %d, want 0", got)
	}
	w.wantForgotten(before)
}

// TestVerifyClockStepsBack has the clock step back over an expiry that a
// record of the ledger is already past: the token stays expired.
func TestVerifyClockStepsBack(t *testing.T) {
	w := newTokenWorld(t)
	acct, _ := w.account()
	tok := w.issue(acct.ID, capycoin.TokenRequest{Expires: w.clock.Now().Add(time.Minute)})
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
	before := w.iss.Stats()
	for range 2 {
		w.wantInvalid(w.iss, tok.Secret)
		w.wantInvalid(other, tok.Secret)
		w.wantInvalid(w.issuer(nil), tok.Secret)
	}
	w.wantForgotten(before)
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
				case err == capycoin.ErrInvalidToken:
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

// TestVerifyRevokedWhileHashed revokes a token and lets another expire when they
// have been hashed and the issuer has not looked at the clock again.
func TestVerifyRevokedWhileHashed(t *testing.T) {
	w := newTokenWorld(t)
	acct, revoked := w.account()
	expired := w.issue(acct.ID, capycoin.TokenRequest{Expires: w.clock.Now().Add(time.Minute)})
	for _, tt := range []struct {
		secret string
		end    func()
	}{
		{revoked.Secret, func() { w.revoke(acct.ID, revoked.ID) }},
		{expired.Secret, func() { w.clock.set(expired.Expires) }},
	} {
		before, ended := w.iss.Stats().HashRuns, false
		w.clock.onLook(func() {
			if got := w.iss.Stats(); got.HashRuns > before && got.Hashing == 0 {
				w.clock.onLook(nil)
				tt.end()
				ended = true
			}
		})
		w.wantInvalid(w.iss, tt.secret)
		if got := w.iss.Stats().HashRuns; !ended || got != before+1 {
			t.Errorf("it has ended: %v; got %d hash runs, want 1", ended, got-before)
		}
		w.wantInvalid(w.iss, tt.secret)
	}
}

// TestVerifyComparesHash has a record whose selector and tag are those of the token
// presented but whose hash is that of another one.
func TestVerifyComparesHash(t *testing.T) {
	memory := storetest.NewMemory()
	w := newTokenWorldIn(t, memory, tune.Options{})
	_, first := w.account()
	_, second := w.account()
	wrong, good := w.record(first.Token), w.record(second.Token)
	right := record.Append(nil, &wrong)
	forged := *wrong.Body.(*record.Token)
	forged.Hash, wrong.Body = good.Body.(*record.Token).Hash, &forged
	memory.SetRecord(wrong.Position, record.Append(nil, &wrong))
	before := w.iss.Stats().HashRuns
	for n := range 3 {
		w.wantInvalid(w.iss, first.Secret)
		if got, want := w.iss.Stats().HashRuns-before, uint64(n+1); got != want {
			t.Errorf("got %d hash runs, want %d: a failed check is not remembered", got, want)
		}
	}
	w.wantValid(w.iss, second.Secret, second.Token)
	memory.SetRecord(wrong.Position, right)
	w.wantValid(w.iss, first.Secret, first.Token)
}

func TestVerifyWrongTokensCostNoHash(t *testing.T) {
	w := newTokenWorld(t)
	// There is room for one token: a wrong one would take the place of the good one.
	w.iss = w.issuer(&capycoin.TokenOptions{BcryptCost: 4, CacheSize: 1})
	_, tok := w.account()
	w.wantValid(w.iss, tok.Secret, tok.Token)
	before := w.iss.Stats()
	for range 200 {
		var token [128]byte
		crand.Read(token[:])
		random := strings.ToUpper(hex.EncodeToString(token[:]))
		w.wantInvalid(w.iss, random)                          // unknown
		w.wantInvalid(w.iss, tok.Secret[:2*16]+random[2*16:]) // wrong
	}
	got := w.iss.Stats()
	if got.HashRuns != before.HashRuns {
		t.Errorf("hash runs: got %d, want %d as before", got.HashRuns, before.HashRuns)
	}
	if got.CacheMisses < 400 {
		t.Errorf("cache misses: got %d, want at least 400", got.CacheMisses)
	}
	w.wantValid(w.iss, tok.Secret, tok.Token)
	if after := w.iss.Stats(); after.CacheHits != before.CacheHits+1 || after.HashRuns != before.HashRuns {
		t.Errorf("stats: got %+v, want the good one remembered alone", after)
	}
}

func TestClosedIssuer(t *testing.T) {
	w := newTokenWorld(t)
	acct, tok := w.account()
	w.wantValid(w.iss, tok.Secret, tok.Token)
	w.close()
	ctx := context.Background()
	for name, call := range map[string]func() error{
		"Verify, cached": func() error { _, err := w.iss.Verify(ctx, tok.Secret); return err },
		"Issue":          func() error { _, err := w.iss.Issue(ctx, acct.ID, capycoin.TokenRequest{}); return err },
		"OpenAccount":    func() error { _, _, err := w.iss.OpenAccount(ctx); return err },
		"List":           func() error { _, err := w.iss.List(ctx, acct.ID); return err },
		"Revoke":         func() error { return w.iss.Revoke(ctx, acct.ID, tok.ID) },
	} {
		if err := call(); !errors.Is(err, capycoin.ErrClosed) {
			t.Errorf("%s: got error %v, want %v", name, err, capycoin.ErrClosed)
		}
	}
}

// TestVerifyOtherCost has tokens of other costs: the cost is for new ones.
func TestVerifyOtherCost(t *testing.T) {
	w := newTokenWorld(t)
	acct, low := w.account()
	high := w.issuer(&capycoin.TokenOptions{BcryptCost: 6, Life: time.Hour})
	tok, err := high.Issue(context.Background(), acct.ID, capycoin.TokenRequest{})
	if err != nil {
		t.Fatalf("Issue: %v", err)
	}
	for want, tok := range map[int]capycoin.IssuedToken{4: low, 6: tok} {
		rec := w.record(tok.Token)
		if got, err := bcrypt.Cost(rec.Body.(*record.Token).Hash[:]); err != nil || got != want {
			t.Errorf("cost: got %d, error %v; want %d", got, err, want)
		}
		w.wantValid(w.issuer(nil), tok.Secret, tok.Token)
		w.wantValid(w.issuer(&capycoin.TokenOptions{BcryptCost: 5}), tok.Secret, tok.Token)
	}
}

func TestSecretIsNotPrinted(t *testing.T) {
	w := newTokenWorld(t)
	acct, _ := w.account()
	tok := w.issue(acct.ID, capycoin.TokenRequest{Label: "phone"})
	var out []string
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%T"} {
		out = append(out, fmt.Sprintf(format, tok), fmt.Sprintf(format, &tok),
			fmt.Sprintf(format, []capycoin.IssuedToken{tok}), fmt.Sprintf(format, struct{ T capycoin.IssuedToken }{tok}))
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
				if _, err := w.iss.Verify(ctx, secret); err != capycoin.ErrInvalidToken {
					b.Fatalf("got error %v, want %v", err, capycoin.ErrInvalidToken)
				}
			}
		})
	}
}
