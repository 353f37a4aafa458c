package capycoin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/store"
)

// A token is 128 random bytes. What the ledger keeps of it:
//
//	selector  16 bytes  the token's first 16 bytes: finds the record
//	tag        8 bytes  the first 8 of SHA-256("capycoin token tag v1\x00" ‖ token)
//	hash      60 bytes  bcrypt of the 64 lower-case hexadecimal digits of
//	                    SHA-256("capycoin token hash v1\x00" ‖ token)
//
// bcrypt reads 72 bytes at most, so it is given a digest of the whole token.
// The tag sorts out a wrong token for the price of one SHA-256: a guess passes
// it once in 2^64 times, so only the owner's token ever costs a bcrypt. It
// tells nobody the 112 bytes behind the selector: 2^832 of them share a tag.
const (
	wireTokenLen = 128
	tagDomain    = "capycoin token tag v1\x00"
	hashDomain   = "capycoin token hash v1\x00"
	cacheKeyLen  = 64
)

// wireToken is a token as it was drawn or presented.
type wireToken [wireTokenLen]byte

// parseSecret reads 256 hexadecimal digits of either case.
func parseSecret(secret string) (token wireToken, ok bool) {
	var digits [2 * wireTokenLen]byte
	if len(secret) != len(digits) {
		return token, false
	}
	copy(digits[:], secret)
	_, err := hex.Decode(token[:], digits[:])
	return token, err == nil
}

// secret returns the token as its owner sees it.
func (t *wireToken) secret() string { return strings.ToUpper(hex.EncodeToString(t[:])) }

func (t *wireToken) selector() [record.SelectorLen]byte { return [record.SelectorLen]byte(t[:]) }

func (t *wireToken) tag() [8]byte {
	sum := t.digest(tagDomain)
	return [8]byte(sum[:])
}

// bcryptInput returns the 64 bytes that bcrypt hashes in place of the token.
func (t *wireToken) bcryptInput() []byte {
	sum := t.digest(hashDomain)
	return hex.AppendEncode(nil, sum[:])
}

func (t *wireToken) digest(domain string) [sha256.Size]byte {
	var buf [32 + wireTokenLen]byte
	n := copy(buf[:], domain)
	n += copy(buf[n:], t[:])
	return sha256.Sum256(buf[:n])
}

// verifiedKey stands for a whole token in memory, so that a dump of the cache
// holds no token.
type verifiedKey [sha256.Size]byte

// verifiedToken is a token that bcrypt found right. Whether it is still live
// is asked at every use.
type verifiedToken struct {
	token    Token
	selector [record.SelectorLen]byte
	position uint64 // of its record: another token under the selector has another
	expires  int64  // microseconds since 1970
}

// verifiedKey returns SHA-256 over a random key of one block and the token.
// Token and key have fixed lengths and nobody sees the result, so this simple
// form of a keyed hash is as good as HMAC, at half its price.
func (i *TokenIssuer) verifiedKey(token *wireToken) verifiedKey {
	var buf [cacheKeyLen + wireTokenLen]byte
	copy(buf[:], i.cacheKey[:])
	copy(buf[cacheKeyLen:], token[:])
	return sha256.Sum256(buf[:])
}

// Verify returns the token that secret is: 256 hexadecimal digits of either
// case. It returns [ErrInvalidToken] if secret is malformed, unknown, wrong,
// expired by the time of the ledger, or revoked.
//
// A token seen for the first time is hashed, outside the writer; concurrent
// calls for it share one run. Later calls find it in memory, and check its
// expiry and that it was not revoked all the same. A secret that is not a live
// token's is never hashed. If ctx ends before the hash is done the error is
// [ErrBusy]. Other errors are those of [Ledger.Account].
func (i *TokenIssuer) Verify(ctx context.Context, secret string) (Token, error) {
	token, ok := parseSecret(secret)
	if !ok {
		return Token{}, ErrInvalidToken
	}
	key := i.verifiedKey(&token)
	if v, ok := i.cache.Get(key); ok {
		i.hits.Add(1)
		return i.admit(ctx, key, v)
	}
	i.misses.Add(1)
	rec, ok, err := i.led.tokenBySelector(ctx, token.selector())
	if err != nil {
		return Token{}, err
	}
	if !ok {
		return Token{}, ErrInvalidToken
	}
	tag := token.tag()
	if subtle.ConstantTimeCompare(tag[:], rec.Tag[:]) != 1 || rec.Expires <= i.led.Time().UnixMicro() {
		return Token{}, ErrInvalidToken
	}
	v := &verifiedToken{token: tokenOf(rec), selector: rec.Selector, position: rec.Position, expires: rec.Expires}
	if err := i.check(ctx, key, &token, rec.Hash, v); err != nil {
		return Token{}, err
	}
	// It may have expired or been revoked while it was hashed.
	return i.admit(ctx, key, v)
}

// admit returns the token if it is live now, and forgets it if it is not.
func (i *TokenIssuer) admit(ctx context.Context, key verifiedKey, v *verifiedToken) (Token, error) {
	if v.expires <= i.led.Time().UnixMicro() {
		i.cache.Remove(key)
		return Token{}, ErrInvalidToken
	}
	alive, err := i.led.tokenAlive(ctx, v.selector, v.position)
	if err != nil {
		return Token{}, err
	}
	if !alive {
		i.cache.Remove(key)
		return Token{}, ErrInvalidToken
	}
	return v.token, nil
}

// flight is one check of a token by bcrypt, for all callers that present the
// token meanwhile. It has a context of its own: a caller who leaves does not
// fail the others. When the last one has left before its turn came it is
// dropped, so that nobody waits in line behind a check that nobody waits for.
// (Package singleflight can't tell that its callers are gone.)
type flight struct {
	done chan struct{} // closed when err is set
	err  error         // set before done is closed, constant afterwards

	// Guarded by TokenIssuer.mu.
	callers int
	hashing bool               // its turn has come: it will end by itself
	cancel  context.CancelFunc // ends its wait for a turn
}

// check runs bcrypt on the token, or joins a run of it, and puts v into the
// cache if the hash is right. It returns ErrInvalidToken if it is not, and
// ErrBusy if ctx ends first.
func (i *TokenIssuer) check(ctx context.Context, key verifiedKey, token *wireToken, hash [60]byte, v *verifiedToken) error {
	i.mu.Lock()
	f := i.flights[key]
	if f == nil {
		// The context is not the caller's: see flight.
		fctx, cancel := context.WithCancel(context.Background())
		f = &flight{done: make(chan struct{}), cancel: cancel}
		i.flights[key] = f
		go i.fly(fctx, f, key, *token, hash, v)
	}
	f.callers++
	i.mu.Unlock()

	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	select {
	case <-f.done: // both at once: the answer is there, so give it
		return f.err
	default:
	}
	f.callers--
	if f.callers == 0 && !f.hashing {
		f.cancel()
		i.land(f, key)
	}
	return busyError(ctx)
}

// fly waits for a flight's turn and hashes. It is the flight's goroutine.
func (i *TokenIssuer) fly(ctx context.Context, f *flight, key verifiedKey, token wireToken, hash [60]byte, v *verifiedToken) {
	defer close(f.done)
	defer f.cancel()
	f.err = i.inSlot(ctx, func() error {
		i.mu.Lock()
		f.hashing = f.callers > 0
		wanted := f.hashing
		i.mu.Unlock()
		if !wanted {
			return ErrBusy // for nobody
		}
		// An earlier flight may have landed between the caller's look into the
		// cache and this flight's start.
		if i.cache.Contains(key) {
			return nil
		}
		return i.counted(func() error { return compareHash(hash, &token) })
	})
	if f.err == nil {
		i.cache.Add(key, v)
	}
	// Only now: a caller who finds no flight finds the token in the cache.
	i.mu.Lock()
	defer i.mu.Unlock()
	i.land(f, key)
}

// land takes f off the list of flights, where another one may have taken its
// place. The caller holds i.mu.
func (i *TokenIssuer) land(f *flight, key verifiedKey) {
	if i.flights[key] == f {
		delete(i.flights, key)
	}
}

// hash returns the bcrypt hash of a new token. Turns come in the order in which
// they were asked for, so a flood of new tokens waits elsewhere until few of
// them are in line before those that are presented.
func (i *TokenIssuer) hash(ctx context.Context, token *wireToken) (hash [60]byte, err error) {
	if err := i.newSlots.Acquire(ctx, 1); err != nil {
		return hash, busyError(ctx)
	}
	defer i.newSlots.Release(1)
	err = i.inSlot(ctx, func() error {
		return i.counted(func() error {
			b, err := bcrypt.GenerateFromPassword(token.bcryptInput(), i.cost)
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
// ends first, and the ledger's error if that no longer serves: so whatever
// waits here when the ledger is closed is gone at once.
func (i *TokenIssuer) inSlot(ctx context.Context, fn func() error) error {
	if err := i.slots.Acquire(ctx, 1); err != nil {
		return busyError(ctx)
	}
	defer i.slots.Release(1)
	if err := i.led.Err(); err != nil {
		return err
	}
	return fn()
}

// counted counts fn as a run of bcrypt.
func (i *TokenIssuer) counted(fn func() error) error {
	i.hashRuns.Add(1)
	i.hashing.Add(1)
	defer i.hashing.Add(-1)
	return fn()
}

// compareHash returns nil if the token has the hash, ErrInvalidToken if not,
// and ErrCorrupt if hash is none that an issuer made.
func compareHash(hash [60]byte, token *wireToken) error {
	// bcrypt takes what cost the hash names; at 31 it would run for more than a day.
	cost, err := bcrypt.Cost(hash[:])
	if err == nil && (cost < minBcryptCost || cost > maxBcryptCost) {
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
