package bench

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

// signedWorld is a ledger whose accounts have keys, and transfers that their owners
// have signed.
type signedWorld struct {
	*world
	ledger  uuid.UUID
	private map[uuid.UUID]ed25519.PrivateKey
	rng     []*rand.Rand // of each processor

	signed []capycoin.Transfer
	taken  atomic.Int64 // how many of them have been made, or more
}

// errNoneLeft ends a load's turn: what it was made ready for has been done.
var errNoneLeft = errors.New("none is left")

// signedPerProcessor is how many signatures are made before a turn: what a processor
// verifies in about a second.
const signedPerProcessor = 2 * batchSize

// signedWorld returns the ledger whose accounts have keys.
func (b *bench) signedWorld(ctx context.Context) (*signedWorld, error) {
	if b.signing != nil {
		return b.signing, nil
	}
	s := &signedWorld{private: make(map[uuid.UUID]ed25519.PrivateKey)}
	var mu sync.Mutex
	keys := b.rng()
	w, err := b.worldOf(ctx, "signed", fewAccounts, func(ctx context.Context, led *capycoin.Ledger) (capycoin.Account, error) {
		mu.Lock()
		private := randomKey(keys)
		mu.Unlock()
		acct, err := led.OpenKeyedAccount(ctx, capycoin.PublicKey(private.Public().(ed25519.PublicKey)))
		if err == nil {
			mu.Lock()
			s.private[acct.ID] = private
			mu.Unlock()
		}
		return acct, err
	})
	if err != nil {
		return nil, err
	}
	supply, err := w.led.Supply(ctx)
	if err != nil {
		return nil, err
	}
	s.world, s.ledger = w, supply.LedgerID
	for range runtime.GOMAXPROCS(0) {
		s.rng = append(s.rng, b.rng())
	}
	b.signing = s
	return s, nil
}

// randomKey returns a private key, the same one of the same source. It guards
// nothing that lasts.
func randomKey(rng *rand.Rand) ed25519.PrivateKey {
	var seed []byte
	for range ed25519.SeedSize / 8 {
		seed = binary.BigEndian.AppendUint64(seed, rng.Uint64())
	}
	return ed25519.NewKeyFromSeed(seed)
}

// prepare signs as many transfers as a turn can take, in the place of those that
// were made.
func (s *signedWorld) prepare(ctx context.Context) error {
	some := signedPerProcessor * len(s.rng)
	rest := s.signed[min(s.taken.Load(), int64(len(s.signed))):]
	s.signed = append(make([]capycoin.Transfer, 0, some), rest...)[:some]
	s.taken.Store(0)
	notAfter := time.Now().Add(capycoin.MaxSignatureLife / 2)
	fill := s.signed[len(rest):]
	return parallel(len(s.rng), func(worker int) error {
		for i := worker; i < len(fill); i += len(s.rng) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := s.sign(&fill[i], s.rng[worker], notAfter); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *signedWorld) sign(t *capycoin.Transfer, rng *rand.Rand, notAfter time.Time) (err error) {
	*t = keyedPayment(s.world, rng)
	t.MaxFee = new(capycoin.Coins(0))
	t.Signature, err = capycoin.SignTransfer(s.ledger, 1, *t, notAfter, s.private[t.Sender])
	return err
}

// take returns so many transfers that nobody has made.
func (s *signedWorld) take(n int) ([]capycoin.Transfer, error) {
	end := s.taken.Add(int64(n))
	if end > int64(len(s.signed)) {
		return nil, errNoneLeft
	}
	return s.signed[end-int64(n) : end], nil
}

// callers are so many goroutines that make one signed transfer after the other.
func (s *signedWorld) callers(ctx context.Context, n int) load {
	l := load{used: s.used, prepare: s.prepare}
	for range n {
		l.workers = append(l.workers, func() (int, time.Duration, error) {
			t, err := s.take(1)
			if err != nil {
				return 0, 0, err
			}
			start := time.Now()
			_, err = s.led.Transfer(ctx, t[0])
			return 1, time.Since(start), err
		})
	}
	return l
}

// batchers are two goroutines that make one batch of signed transfers after the
// other.
func (s *signedWorld) batchers(ctx context.Context, size int) load {
	l := load{used: s.used, prepare: s.prepare}
	for range 2 {
		l.workers = append(l.workers, func() (int, time.Duration, error) {
			batch, err := s.take(size)
			if err != nil {
				return 0, 0, err
			}
			return s.makeBatch(ctx, batch)
		})
	}
	return l
}

// verifiers verify on all processors, and do nothing else: messages as long as a
// transfer's, each by one of as many keys as there are accounts.
func (b *bench) verifiers() load {
	// The domain, the ledger, the version, both accounts, three numbers, and the key
	// of 36 bytes after its length: docs/signing.md.
	const length = 21 + 16 + 4 + 16 + 16 + 8 + 8 + 8 + 1 + 36
	type signature struct {
		public             ed25519.PublicKey
		message, signature []byte
	}
	some, rng := make([]signature, fewAccounts), b.rng()
	for i := range some {
		private := randomKey(rng)
		message := make([]byte, length)
		for j := range message {
			message[j] = byte(rng.Uint32())
		}
		some[i] = signature{private.Public().(ed25519.PublicKey), message, ed25519.Sign(private, message)}
	}
	var l load
	for worker := range runtime.GOMAXPROCS(0) {
		next := worker
		l.workers = append(l.workers, func() (int, time.Duration, error) {
			s := &some[next%len(some)]
			next++
			start := time.Now()
			if !ed25519.Verify(s.public, s.message, s.signature) {
				return 0, 0, errors.New("a good signature was found to be bad")
			}
			return 1, time.Since(start), nil
		})
	}
	return l
}

// againstVerify is a load of signed transfers against the verifying of as many.
func againstVerify(of func(context.Context, *signedWorld) load) func(context.Context, *bench) (load, load, error) {
	return func(ctx context.Context, b *bench) (c, limit load, err error) {
		s, err := b.signedWorld(ctx)
		if err != nil {
			return c, limit, err
		}
		return of(ctx, s), b.verifiers(), nil
	}
}

func signedCallers(ctx context.Context, s *signedWorld) load { return s.callers(ctx, 64) }

func signedBatchers(ctx context.Context, s *signedWorld) load { return s.batchers(ctx, batchSize) }
