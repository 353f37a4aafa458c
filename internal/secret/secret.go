// Package secret has what proves who somebody is, tokens and the codes of invites: how
// they are drawn, what they look like ([ParseToken], [HashCode]), what is kept of them,
// and a [Hasher], which runs bcrypt on tokens and decides whose turn it is.
//
// Turns are for all tokens in the order in which they ask; new ones ask few at a time.
// All who present a token while it waits or is hashed share one check, a flight, and
// what was found right is remembered under a keyed hash, so it is hashed once.
//
// It knows no ledger: which account a token is of, when it expires and whether it was
// revoked. Its caller finds the record by the selector, asks whether the token is live
// at every use, and tells the Hasher by a function whether the ledger still serves. The
// library's TokenIssuer calls it, and nobody else.
//
// A Hasher's mutex guards its flights: how many callers each has, and whether its token
// is being hashed. No function of the caller's is called under it. Turns are two
// semaphores, of which a new token takes its own first; the cache has a lock of its own.
// A flight is a goroutine. It ends when its token was hashed, though the ledger may have
// been closed meanwhile, or when its turn comes and the ledger serves no longer, or
// before that when nobody waits for it any more.
package secret

import "errors"

var (
	// ErrInvalidToken: the token has not the hash.
	ErrInvalidToken = errors.New("capycoin: invalid token")
	// ErrBusy: the context ended before the token's turn, or before its hash was
	// compared. It wraps the context's error.
	ErrBusy = errors.New("capycoin: busy")
)
