package secret

import (
	"context"
	"crypto/sha256"
)

const cacheKeyLen = 64

// cacheKey stands for a whole token in memory, so that a dump of the cache
// holds no token.
type cacheKey [sha256.Size]byte

// cacheKey returns SHA-256 over a random key of one block and the token.
// Token and key have fixed lengths and nobody sees the result, so this simple
// form of a keyed hash is as good as HMAC, at half its price.
func (h *Hasher[V]) cacheKey(token *Token) cacheKey {
	var buf [cacheKeyLen + tokenLen]byte
	copy(buf[:], h.keyed[:])
	copy(buf[cacheKeyLen:], token[:])
	return sha256.Sum256(buf[:])
}

// Remembered returns what is remembered of a token that was checked before and found
// right. Whether it is still live is for the caller to ask, at every use.
func (h *Hasher[V]) Remembered(token *Token) (v V, ok bool) {
	if v, ok = h.cache.Get(h.cacheKey(token)); ok {
		h.hits.Add(1)
	} else {
		h.misses.Add(1)
	}
	return v, ok
}

// Forget forgets a token.
func (h *Hasher[V]) Forget(token *Token) { h.cache.Remove(h.cacheKey(token)) }

// flight is one check of a token by bcrypt, for all callers that present the
// token meanwhile. It has a context of its own: a caller who leaves does not
// fail the others. When the last one has left before its turn came it is
// dropped, so that nobody waits in line behind a check that nobody waits for.
// (Package singleflight can't tell that its callers are gone.)
type flight struct {
	done chan struct{} // closed when err is set
	err  error         // set before done is closed, constant afterwards

	// Guarded by Hasher.mu.
	callers int
	hashing bool               // its turn has come: it will end by itself
	cancel  context.CancelFunc // ends its wait for a turn
}

// Check runs bcrypt on the token, or joins a run of it, and remembers v of it if
// the hash is right. It returns [ErrInvalidToken] if it is not, [store.ErrCorrupt] if
// the hash is none, [ErrBusy] if ctx ends first, and the error of Serves if there is one.
func (h *Hasher[V]) Check(ctx context.Context, token *Token, hash [HashLen]byte, v V) error {
	key := h.cacheKey(token)
	h.mu.Lock()
	f := h.flights[key]
	if f == nil {
		// The context is not the caller's: see flight.
		fctx, cancel := context.WithCancel(context.Background())
		f = &flight{done: make(chan struct{}), cancel: cancel}
		h.flights[key] = f
		go h.fly(fctx, f, key, *token, hash, v)
	}
	f.callers++
	h.mu.Unlock()

	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case <-f.done: // both at once: the answer is there, so give it
		return f.err
	default:
	}
	f.callers--
	if f.callers == 0 && !f.hashing {
		f.cancel()
		h.land(f, key)
	}
	return busyError(ctx)
}

// fly waits for a flight's turn and hashes. It is the flight's goroutine.
func (h *Hasher[V]) fly(ctx context.Context, f *flight, key cacheKey, token Token, hash [HashLen]byte, v V) {
	defer close(f.done)
	defer f.cancel()
	f.err = h.inSlot(ctx, func() error {
		h.mu.Lock()
		f.hashing = f.callers > 0
		wanted := f.hashing
		h.mu.Unlock()
		if !wanted {
			return ErrBusy // for nobody
		}
		// An earlier flight may have landed between the caller's look into the
		// cache and this flight's start.
		if h.cache.Contains(key) {
			return nil
		}
		return h.counted(func() error { return compareHash(hash, &token) })
	})
	if f.err == nil {
		h.cache.Add(key, v)
	}
	// Only now: a caller who finds no flight finds the token in the cache.
	h.mu.Lock()
	defer h.mu.Unlock()
	h.land(f, key)
}

// land takes f off the list of flights, where another one may have taken its
// place. The caller holds h.mu.
func (h *Hasher[V]) land(f *flight, key cacheKey) {
	if h.flights[key] == f {
		delete(h.flights, key)
	}
}
