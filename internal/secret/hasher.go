package secret

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sync/semaphore"

	"github.com/capycoin/capycoin/store"
)

const (
	// MinCost and MaxCost are the bounds of what bcrypt costs here. A hash of
	// another cost is none that a Hasher made.
	MinCost = 4
	MaxCost = 14
	// HashLen is the length of a token's hash, in bytes.
	HashLen = 60
	// maxDraws is how often a token is drawn whose selector is taken. With 128
	// random bits a second draw is never seen outside a test; a fourth would
	// mean that the source of randomness is broken.
	maxDraws = 4
)

// Options are what a Hasher is told. They are not checked.
type Options struct {
	Cost       int // of new tokens' hashes, MinCost to MaxCost
	CacheSize  int // how many verified tokens are remembered
	MaxHashing int // how many tokens may be hashed at once
	// Serves is asked when a token's turn has come. If it returns an error the
	// token is not hashed, and that is the error.
	Serves func() error
	// Draw fills in a new token. nil: with random bytes.
	Draw func(*Token)
}

// Hasher hashes tokens, new ones and those that are presented, and remembers the
// latter. V is what it remembers of one. Its methods may be called from any
// goroutine; it has nothing to close.
type Hasher[V any] struct {
	cost   int
	serves func() error
	draw   func(*Token)

	slots    *semaphore.Weighted // one for each bcrypt run allowed at once
	newSlots *semaphore.Weighted // one for each of them that may be of a new token
	cache    *lru.Cache[cacheKey, V]
	keyed    [cacheKeyLen]byte // random, of this Hasher alone

	mu      sync.Mutex
	flights map[cacheKey]*flight // guarded by mu: checks waited for or running

	hashRuns, hits, misses atomic.Uint64
	hashing                atomic.Int64
}

// NewHasher returns a Hasher that remembers nothing yet.
func NewHasher[V any](o Options) (*Hasher[V], error) {
	cache, err := lru.New[cacheKey, V](o.CacheSize)
	if err != nil {
		return nil, fmt.Errorf("capycoin: cache of verified tokens: %w", err)
	}
	if o.Draw == nil {
		o.Draw = drawToken
	}
	h := &Hasher[V]{
		cost:     o.Cost,
		serves:   o.Serves,
		draw:     o.Draw,
		slots:    semaphore.NewWeighted(int64(o.MaxHashing)),
		newSlots: semaphore.NewWeighted(int64(max(1, o.MaxHashing/2))),
		cache:    cache,
		flights:  make(map[cacheKey]*flight),
	}
	rand.Read(h.keyed[:])
	return h, nil
}

// Stats counts what a Hasher did since it was made.
type Stats struct {
	HashRuns    uint64 // bcrypt runs begun, of new and of presented tokens
	Hashing     int    // bcrypt runs going on right now
	CacheHits   uint64 // tokens looked up that were remembered
	CacheMisses uint64 // tokens looked up that were not
}

// Stats returns what was counted so far.
func (h *Hasher[V]) Stats() Stats {
	return Stats{
		HashRuns:    h.hashRuns.Load(),
		Hashing:     int(h.hashing.Load()),
		CacheHits:   h.hits.Load(),
		CacheMisses: h.misses.Load(),
	}
}

// Issue draws a token, hashes it and gives both to keep, which tells whether the
// selector is taken: then it draws again. It returns the error of keep, or that ctx
// ended before a turn to hash had come ([ErrBusy]), or the error of Serves.
//
// A turn that came in time came in time: keep, and what follows, is not told of a
// deadline that has passed since, so that the hash is not thrown away. Of a caller
// who has left it is told, since that would be a token that nobody has.
func (h *Hasher[V]) Issue(ctx context.Context, keep func(context.Context, *Token, [HashLen]byte) (taken bool, err error)) error {
	for range maxDraws {
		var token Token
		h.draw(&token)
		hash, err := h.hash(ctx, &token)
		if err != nil {
			return err
		}
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			ctx = context.WithoutCancel(ctx)
		}
		if taken, err := keep(ctx, &token, hash); !taken || err != nil {
			return err
		}
	}
	return fmt.Errorf("capycoin: no unused token in %d draws: the system's random numbers repeat", maxDraws)
}

// hash returns the bcrypt hash of a new token. Turns come in the order in which
// they were asked for, so a flood of new tokens waits elsewhere until few of
// them are in line before those that are presented.
func (h *Hasher[V]) hash(ctx context.Context, token *Token) (hash [HashLen]byte, err error) {
	if err := h.newSlots.Acquire(ctx, 1); err != nil {
		return hash, busyError(ctx)
	}
	defer h.newSlots.Release(1)
	err = h.inSlot(ctx, func() error {
		return h.counted(func() error {
			b, err := bcrypt.GenerateFromPassword(token.bcryptInput(), h.cost)
			if err != nil {
				return fmt.Errorf("capycoin: hash of a token: %w", err)
			}
			if copy(hash[:], b) != len(b) || len(b) != len(hash) {
				return fmt.Errorf("capycoin: hash of a token: got %d bytes, want %d", len(b), len(hash))
			}
			return nil
		})
	})
	return hash, err
}

// inSlot calls fn when its turn to hash has come. It returns ErrBusy if ctx
// ends first, and the error of Serves if there is one: so whatever waits here when
// a ledger is closed is gone at once.
func (h *Hasher[V]) inSlot(ctx context.Context, fn func() error) error {
	if err := h.slots.Acquire(ctx, 1); err != nil {
		return busyError(ctx)
	}
	defer h.slots.Release(1)
	if err := h.serves(); err != nil {
		return err
	}
	return fn()
}

// counted counts fn as a run of bcrypt.
func (h *Hasher[V]) counted(fn func() error) error {
	h.hashRuns.Add(1)
	h.hashing.Add(1)
	defer h.hashing.Add(-1)
	return fn()
}

// compareHash returns nil if the token has the hash, ErrInvalidToken if not,
// and [store.ErrCorrupt] if hash is none that a Hasher made.
func compareHash(hash [HashLen]byte, token *Token) error {
	// bcrypt takes what cost the hash names; at 31 it would run for more than a day.
	cost, err := bcrypt.Cost(hash[:])
	if err == nil && (cost < MinCost || cost > MaxCost) {
		err = bcrypt.InvalidCostError(cost)
	}
	if err == nil {
		err = bcrypt.CompareHashAndPassword(hash[:], token.bcryptInput())
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, bcrypt.ErrMismatchedHashAndPassword):
		return ErrInvalidToken
	default:
		return fmt.Errorf("%w: hash of a token: %w", store.ErrCorrupt, err)
	}
}

// busyError says that ctx ended before a hash was done.
func busyError(ctx context.Context) error { return fmt.Errorf("%w: %w", ErrBusy, ctx.Err()) }
