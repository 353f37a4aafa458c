package capycoin

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
	// minCost and maxCost are the bounds of what bcrypt costs here. A hash of
	// another cost is none that a hasher made.
	minCost = 4
	maxCost = 14
	// hashLen is the length of a token's hash, in bytes.
	hashLen = 60
	// maxDraws is how often a token is drawn whose selector is taken. With 128
	// random bits a second draw is never seen outside a test; a fourth would
	// mean that the source of randomness is broken.
	maxDraws = 4
)

// hasherOptions are what a hasher is told. They are not checked.
type hasherOptions struct {
	cost       int // of new tokens' hashes, minCost to maxCost
	cacheSize  int // how many verified tokens are remembered
	maxHashing int // how many tokens may be hashed at once
	// serves is asked when a token's turn has come. If it returns an error the
	// token is not hashed, and that is the error.
	serves func() error
	// draw fills in a new token. nil: drawToken.
	draw func(*wireToken)
}

// hasher hashes tokens, new ones and those that are presented, and remembers the
// latter. V is what it remembers of one. Its methods may be called from any
// goroutine; it has nothing to close.
type hasher[V any] struct {
	cost   int
	serves func() error
	draw   func(*wireToken)

	slots    *semaphore.Weighted // one for each bcrypt run allowed at once
	newSlots *semaphore.Weighted // one for each of them that may be of a new token
	cache    *lru.Cache[cacheKey, V]
	keyed    [cacheKeyLen]byte // random, of this hasher alone

	mu      sync.Mutex
	flights map[cacheKey]*flight // guarded by mu: checks waited for or running

	hashRuns, hits, misses atomic.Uint64
	hashing                atomic.Int64
}

func newHasher[V any](o hasherOptions) (*hasher[V], error) {
	cache, err := lru.New[cacheKey, V](o.cacheSize)
	if err != nil {
		return nil, fmt.Errorf("capycoin: cache of verified tokens: %w", err)
	}
	if o.draw == nil {
		o.draw = drawToken
	}
	h := &hasher[V]{
		cost:     o.cost,
		serves:   o.serves,
		draw:     o.draw,
		slots:    semaphore.NewWeighted(int64(o.maxHashing)),
		newSlots: semaphore.NewWeighted(int64(max(1, o.maxHashing/2))),
		cache:    cache,
		flights:  make(map[cacheKey]*flight),
	}
	rand.Read(h.keyed[:])
	return h, nil
}

// hasherStats counts what a hasher did since it was made.
type hasherStats struct {
	HashRuns    uint64 // bcrypt runs begun, of new and of presented tokens
	Hashing     int    // bcrypt runs going on right now
	CacheHits   uint64 // tokens looked up that were remembered
	CacheMisses uint64 // tokens looked up that were not
}

// stats returns what was counted so far.
func (h *hasher[V]) stats() hasherStats {
	return hasherStats{
		HashRuns:    h.hashRuns.Load(),
		Hashing:     int(h.hashing.Load()),
		CacheHits:   h.hits.Load(),
		CacheMisses: h.misses.Load(),
	}
}

// issue draws a token, hashes it and gives both to keep, which tells whether the
// selector is taken: then it draws again. It returns the error of keep, or that ctx
// ended before a turn to hash had come ([ErrBusy]), or the error of serves.
//
// A turn that came in time came in time: keep, and what follows, is not told of a
// deadline that has passed since, so that the hash is not thrown away. Of a caller
// who has left it is told, since that would be a token that nobody has.
func (h *hasher[V]) issue(ctx context.Context, keep func(context.Context, *wireToken, [hashLen]byte) (taken bool, err error)) error {
	for range maxDraws {
		var token wireToken
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
func (h *hasher[V]) hash(ctx context.Context, token *wireToken) (hash [hashLen]byte, err error) {
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
// ends first, and the error of serves if there is one: so whatever waits here when
// a ledger is closed is gone at once.
func (h *hasher[V]) inSlot(ctx context.Context, fn func() error) error {
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
func (h *hasher[V]) counted(fn func() error) error {
	h.hashRuns.Add(1)
	h.hashing.Add(1)
	defer h.hashing.Add(-1)
	return fn()
}

// compareHash returns nil if the token has the hash, ErrInvalidToken if not,
// and ErrCorrupt if hash is none that a hasher made.
func compareHash(hash [hashLen]byte, token *wireToken) error {
	// bcrypt takes what cost the hash names; at 31 it would run for more than a day.
	cost, err := bcrypt.Cost(hash[:])
	if err == nil && (cost < minCost || cost > maxCost) {
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
