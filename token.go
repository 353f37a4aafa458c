package capycoin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/books"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/secret"
)

const (
	// MaxTokens is how many live tokens, neither expired nor revoked, an
	// account can have.
	MaxTokens = books.MaxTokens // 10
	// DefaultTokenLife is how long a token lives if nothing else is asked for,
	// and the longest a token can live.
	DefaultTokenLife = 30 * 24 * time.Hour
	// DefaultBcryptCost is the bcrypt cost of tokens whose TokenOptions name
	// none: about 50 ms for each token that is hashed.
	DefaultBcryptCost = 10
)

const (
	minTokenLife      = time.Second
	defaultTokenCache = 65_536
	maxTokenCache     = 10_000_000
	maxHashingLimit   = 1_024
)

// TokenOptions are the settings of [NewTokenIssuer]. A nil *TokenOptions is
// the same as a zero one. A value out of range is an [*OptionError].
type TokenOptions struct {
	// BcryptCost is the cost of the hashes of new tokens, 4 to 14; each step
	// doubles the time. Zero: [DefaultBcryptCost]. Tokens issued at another
	// cost stay valid.
	BcryptCost int
	// Life is how long a token lives unless it is asked to expire earlier, and
	// how far off its expiry may be: one second to [DefaultTokenLife]. Zero:
	// [DefaultTokenLife]. Tokens already issued keep their expiry.
	Life time.Duration
	// CacheSize is how many verified tokens are remembered, so that they are
	// not hashed again: 1 to 10,000,000 (about 400 bytes each). Zero: 65,536.
	CacheSize int
	// MaxHashing is how many tokens may be hashed at once, 1 to 1,024; further
	// ones wait their turn. Zero: one less than GOMAXPROCS, but at least one,
	// so that a flood of new tokens leaves a processor to the rest. Of them new
	// tokens take half at most, but at least one, and wait in a line of their own:
	// one that is presented waits for one of them to be hashed, not for all.
	MaxHashing int
}

// Token is what can be told of a token: all but its secret.
type Token struct {
	ID      uuid.UUID // a version-7 UUID made from the time and place of its record
	Account uuid.UUID
	Label   string // what its owner called it; may be empty
	Created time.Time
	Expires time.Time // it is valid before this time, not at it
}

// IssuedToken is a new token with its secret. Printed or logged it shows
// everything but the Secret; encoded as JSON it shows that, too.
type IssuedToken struct {
	Token
	// Secret is the token itself: 128 random bytes as 256 upper-case
	// hexadecimal digits. The ledger keeps a hash only, so this is the one
	// time it is seen.
	Secret string
}

// String describes the token without its Secret.
func (t IssuedToken) String() string {
	return fmt.Sprintf("token %s of account %s, label %q, created %s, expires %s, secret hidden", t.ID, t.Account, t.Label,
		t.Created.Format(time.RFC3339Nano), t.Expires.Format(time.RFC3339Nano))
}

// GoString describes the token without its Secret.
func (t IssuedToken) GoString() string {
	return fmt.Sprintf("capycoin.IssuedToken{Token:%#v, Secret:hidden}", t.Token)
}

// Format keeps the Secret out of what package fmt prints, with any verb that
// is for values (%p is not).
func (t IssuedToken) Format(f fmt.State, verb rune) {
	if verb == 'v' && f.Flag('#') {
		io.WriteString(f, t.GoString())
		return
	}
	io.WriteString(f, t.String())
}

// LogValue keeps the Secret out of logs.
func (t IssuedToken) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("id", t.ID.String()),
		slog.String("account", t.Account.String()),
		slog.String("label", t.Label),
		slog.Time("created", t.Created),
		slog.Time("expires", t.Expires),
	)
}

// TokenRequest says what token is wanted. The zero TokenRequest is a token
// without a label that lives as long as tokens do.
type TokenRequest struct {
	// Label is at most 64 characters of UTF-8, none of them a control
	// character. Labels need not differ.
	Label string
	// Expires is after now and at most a token's life ahead, by the time of
	// the ledger; it is cut to microseconds. Zero: a full life.
	Expires time.Time
}

// TokenStats counts what a TokenIssuer did since it was made.
type TokenStats struct {
	HashRuns    uint64 // bcrypt runs begun, of new and of presented tokens
	Hashing     int    // bcrypt runs going on right now
	CacheHits   uint64 // well-formed tokens presented that were remembered
	CacheMisses uint64 // well-formed tokens presented that were not
}

// TokenIssuer issues, verifies, lists and revokes the tokens of a Ledger's
// accounts. Tokens are records in the journal, so every TokenIssuer of a
// Ledger, now or after reopening it, sees the same ones. Its methods may be
// called from any goroutine. It has nothing to close: it ends with the Ledger,
// though a hash begun by then runs to its end, some 50 ms at the default cost.
type TokenIssuer struct {
	led    *Ledger
	seed   uuid.UUID
	life   time.Duration
	hasher *secret.Hasher[*verifiedToken]
}

// NewTokenIssuer returns a TokenIssuer for the accounts of led. It returns an
// [*OptionError], or [ErrClosed] or [ErrStopped] if led no longer serves.
func NewTokenIssuer(led *Ledger, opts *TokenOptions) (*TokenIssuer, error) {
	if opts == nil {
		opts = &TokenOptions{}
	}
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := led.Err(); err != nil {
		return nil, err
	}
	hasher, err := secret.NewHasher[*verifiedToken](secret.Options{
		Cost:       o.BcryptCost,
		CacheSize:  o.CacheSize,
		MaxHashing: o.MaxHashing,
		Serves:     led.Err,
	})
	if err != nil {
		return nil, err
	}
	return &TokenIssuer{led: led, seed: led.genesis.Seed, life: o.Life, hasher: hasher}, nil
}

// withDefaults returns a copy of o with its zero values filled in.
func (o TokenOptions) withDefaults() (TokenOptions, error) {
	if o.BcryptCost == 0 {
		o.BcryptCost = DefaultBcryptCost
	}
	if o.Life == 0 {
		o.Life = DefaultTokenLife
	}
	if o.CacheSize == 0 {
		o.CacheSize = defaultTokenCache
	}
	if o.MaxHashing == 0 {
		o.MaxHashing = min(max(1, runtime.GOMAXPROCS(0)-1), maxHashingLimit)
	}
	switch {
	case o.BcryptCost < secret.MinCost || o.BcryptCost > secret.MaxCost:
		return o, &OptionError{Field: "BcryptCost", Value: o.BcryptCost, Allowed: "4 to 14"}
	case o.Life < minTokenLife || o.Life > DefaultTokenLife:
		return o, &OptionError{Field: "Life", Value: o.Life, Allowed: "one second to 30 days"}
	case o.CacheSize < 1 || o.CacheSize > maxTokenCache:
		return o, &OptionError{Field: "CacheSize", Value: o.CacheSize, Allowed: "1 to 10,000,000"}
	case o.MaxHashing < 1 || o.MaxHashing > maxHashingLimit:
		return o, &OptionError{Field: "MaxHashing", Value: o.MaxHashing, Allowed: "1 to 1,024"}
	}
	return o, nil
}

// OpenAccount opens an account and issues its first token, without a label and
// with a full life. Both are one commit: there is never an account that nobody
// can use.
//
// The error is [ErrBusy] if ctx ended before the token's turn to be hashed, or
// one of [Ledger.OpenAccount]. A deadline that passes while the token is being
// hashed is not held against it.
func (i *TokenIssuer) OpenAccount(ctx context.Context) (Account, IssuedToken, error) {
	return i.openAccount(ctx, PublicKey{}, nil)
}

// OpenKeyedAccount is OpenAccount with a public key, as
// [Ledger.OpenKeyedAccount] has it. The error can be [ErrBadPublicKey], too.
func (i *TokenIssuer) OpenKeyedAccount(ctx context.Context, key PublicKey) (Account, IssuedToken, error) {
	if err := key.Check(); err != nil {
		return Account{}, IssuedToken{}, err
	}
	return i.openAccount(ctx, key, nil)
}

func (i *TokenIssuer) openAccount(ctx context.Context, key PublicKey, inv *record.Invite) (Account, IssuedToken, error) {
	var acct Account
	issued, err := i.issue(ctx, TokenRequest{}, func(ctx context.Context, rec record.Token) (record.Token, error) {
		var err error
		acct, err = i.led.openAccount(ctx, key, &rec, inv)
		return rec, err
	})
	if err != nil {
		return Account{}, IssuedToken{}, err
	}
	return acct, issued, nil
}

// Issue issues a token for an account. It checks, in this order: the label
// ([ErrBadLabel]), the expiry ([ErrBadExpiry]), that the account is not the
// seed account ([ErrSeedToken]), that it exists ([ErrAccountNotFound]), and
// that it has fewer than [MaxTokens] live tokens ([ErrTooManyTokens]). A
// request refused for one of these was not hashed, unless it became wrong only
// meanwhile. [ErrBusy] means that ctx ended before its turn to be hashed;
// errors of the commit are those of [Ledger.OpenAccount].
func (i *TokenIssuer) Issue(ctx context.Context, account uuid.UUID, r TokenRequest) (IssuedToken, error) {
	if err := record.CheckLabel(r.Label); err != nil {
		return IssuedToken{}, err
	}
	if err := i.led.checkExpiry(&r.Expires, i.life); err != nil {
		return IssuedToken{}, err
	}
	switch account {
	case i.seed:
		return IssuedToken{}, ErrSeedToken
	case record.FeeAccount:
		return IssuedToken{}, ErrFeeToken
	}
	// The writer judges this again. It is asked here so that nobody without
	// an account, or with enough tokens, can have the machine hash for them.
	live, err := i.live(ctx, account)
	if err != nil {
		return IssuedToken{}, err
	}
	if len(live) >= MaxTokens {
		return IssuedToken{}, ErrTooManyTokens
	}
	return i.issue(ctx, r, func(ctx context.Context, rec record.Token) (record.Token, error) {
		rec.Account = account
		err := i.led.perform(ctx, &books.IssueToken{Token: &rec})
		return rec, err
	})
}

// issue has a token drawn and hashed, and commit write its record; again if the
// selector turns out to be taken.
func (i *TokenIssuer) issue(ctx context.Context, r TokenRequest, commit func(context.Context, record.Token) (record.Token, error)) (IssuedToken, error) {
	var issued IssuedToken
	err := i.hasher.Issue(ctx, func(ctx context.Context, token *secret.Token, hash [secret.HashLen]byte) (taken bool, err error) {
		rec := record.Token{Selector: token.Selector(), Tag: token.Tag(), Hash: hash, Label: r.Label}
		// A full life begins after the wait for the hash, not before it.
		if r.Expires.IsZero() {
			rec.Expires = i.led.Time().Add(i.life).UnixMicro()
		} else {
			rec.Expires = r.Expires.UnixMicro()
		}
		rec, err = commit(ctx, rec)
		if errors.Is(err, books.ErrSelectorTaken) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		issued = IssuedToken{Token: tokenOf(rec), Secret: token.Text()}
		return false, nil
	})
	return issued, err
}

// verifiedToken is a token that bcrypt found right. Whether it is still live
// is asked at every use.
type verifiedToken struct {
	token    Token
	selector [record.SelectorLen]byte
	position uint64 // of its record: another token under the selector has another
	expires  int64  // microseconds since 1970
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
	return i.verify(ctx, secret)
}

func (i *TokenIssuer) verify(ctx context.Context, text string) (Token, error) {
	token, ok := secret.ParseToken(text)
	if !ok {
		return Token{}, ErrInvalidToken
	}
	if v, ok := i.hasher.Remembered(&token); ok {
		return i.admit(ctx, &token, v)
	}
	rec, ok, err := i.bySelector(ctx, token.Selector())
	if err != nil {
		return Token{}, err
	}
	if !ok || !token.HasTag(rec.Tag) || rec.Expires <= i.led.Time().UnixMicro() {
		return Token{}, ErrInvalidToken
	}
	v := &verifiedToken{token: tokenOf(rec), selector: rec.Selector, position: rec.Position, expires: rec.Expires}
	if err := i.hasher.Check(ctx, &token, rec.Hash, v); err != nil {
		return Token{}, err
	}
	// It may have expired or been revoked while it was hashed.
	return i.admit(ctx, &token, v)
}

// admit returns the token if it is live now, and forgets it if it is not.
func (i *TokenIssuer) admit(ctx context.Context, token *secret.Token, v *verifiedToken) (Token, error) {
	if v.expires <= i.led.Time().UnixMicro() {
		i.hasher.Forget(token)
		return Token{}, ErrInvalidToken
	}
	alive, err := i.alive(ctx, v)
	if err != nil {
		return Token{}, err
	}
	if !alive {
		i.hasher.Forget(token)
		return Token{}, ErrInvalidToken
	}
	return v.token, nil
}

// List returns the live tokens of an account, oldest first. The seed account
// has none. It returns [ErrAccountNotFound] if there is no such account.
func (i *TokenIssuer) List(ctx context.Context, account uuid.UUID) ([]Token, error) {
	live, err := i.live(ctx, account)
	if err != nil {
		return nil, err
	}
	tokens := make([]Token, len(live))
	for n, rec := range live {
		tokens[n] = tokenOf(rec)
	}
	return tokens, nil
}

// live returns the records of the live tokens of an account.
func (i *TokenIssuer) live(ctx context.Context, account uuid.UUID) ([]record.Token, error) {
	if err := i.led.serves(ctx); err != nil {
		return nil, err
	}
	live, err := i.led.books.LiveTokens(ctx, account, i.led.eng.Time())
	return live, i.led.eng.Failed(err)
}

// bySelector returns the record of the token with a selector, which may have expired.
func (i *TokenIssuer) bySelector(ctx context.Context, selector [record.SelectorLen]byte) (rec record.Token, ok bool, err error) {
	if err := i.led.serves(ctx); err != nil {
		return rec, false, err
	}
	rec, ok, err = i.led.books.TokenBySelector(ctx, selector)
	return rec, ok, i.led.eng.Failed(err)
}

// alive says whether a token is neither revoked nor swept away after its expiry.
func (i *TokenIssuer) alive(ctx context.Context, v *verifiedToken) (bool, error) {
	if err := i.led.serves(ctx); err != nil {
		return false, err
	}
	row, err := i.led.books.TokenRow(ctx, v.selector)
	return row.Position == v.position && err == nil, i.led.eng.Failed(err)
}

// Revoke ends a token of an account. When it has returned nil no [Verify]
// begun afterwards accepts the token. It returns [ErrTokenNotFound] if the
// account has no such live token, or if there is no such account.
//
// [Verify]: TokenIssuer.Verify
func (i *TokenIssuer) Revoke(ctx context.Context, account, id uuid.UUID) error {
	return i.led.perform(ctx, &books.RevokeToken{Account: account, Token: id})
}

// Stats returns what was counted so far.
func (i *TokenIssuer) Stats() TokenStats { return TokenStats(i.hasher.Stats()) }

// tokenOf returns what can be told of a token.
func tokenOf(rec record.Token) Token {
	return Token{
		ID:      record.IDAt(rec.Time, rec.Position),
		Account: rec.Account,
		Label:   rec.Label,
		Created: time.UnixMicro(rec.Time).UTC(),
		Expires: time.UnixMicro(rec.Expires).UTC(),
	}
}

// checkExpiry cuts an expiry to microseconds and returns an error that wraps
// ErrBadExpiry if it is not after now or further off than life.
func (l *Ledger) checkExpiry(expires *time.Time, life time.Duration) error {
	if expires.IsZero() {
		return nil
	}
	now := l.Time()
	last := now.Add(life)
	*expires = expires.UTC().Truncate(time.Microsecond)
	if !expires.After(now) || expires.After(last) {
		return fmt.Errorf("%w: %s is not after %s and at most %s", ErrBadExpiry,
			expires.Format(time.RFC3339Nano), now.Format(time.RFC3339Nano), last.Format(time.RFC3339Nano))
	}
	return nil
}
