// Package httpapi serves a CapyCoin ledger over HTTP: the public API, with
// bearer tokens, and the trusted one, without. Both are described in
// openapi.yaml, which is embedded ([OpenAPI]) and served.
//
//	api, err := httpapi.New(led, iss, nil)
//	mux.Handle("/coins/", http.StripPrefix("/coins", api.Public()))
//
// The handlers can be mounted under a path of someone else's server with
// [http.StripPrefix]. They set no deadlines on connections: give the
// [http.Server] a ReadHeaderTimeout, ReadTimeout, WriteTimeout and
// IdleTimeout.
//
// Whoever reaches the trusted handler can spend from every account. Serve it
// where only the operator gets at it, such as a Unix socket of mode 0600.
//
// It knows no sockets, flags or files, and of a ledger what anybody can call. Its locks
// guard what is left of limits, and nothing is called under them.
package httpapi

import (
	"context"
	_ "embed"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

//go:embed openapi.yaml
var openAPI []byte

// OpenAPI returns the description of both sides of the API, OpenAPI 3.1.
func OpenAPI() []byte { return append([]byte(nil), openAPI...) }

// Options are the settings of [New]. Nil is the same as zero.
type Options struct {
	// Logger gets a line for each request, with its id, and what went wrong.
	// Tokens are never in it. Nil: nothing is logged.
	Logger *slog.Logger
	// Wait is how long a request waits for its turn in a full queue, or for a
	// token to be hashed, before it is answered 503; 1 ms to 1 min. It may be an
	// eighth longer. Zero: 2 s.
	Wait time.Duration
	// AllowUIDs are the users that may use the trusted handler, by what [WithPeer]
	// noted of their process. Others, and who is not known, are answered 403.
	// Nil: whoever reaches the handler may use it.
	AllowUIDs []int
	// CORSOrigins are the origins, such as https://app.example, whose pages may use
	// the public handler from a browser; see [ValidOrigin]. Nil: none.
	CORSOrigins []string
	// SignUp is who may open an account on the public side. The trusted side opens
	// accounts whatever it is.
	SignUp SignUp
	// SignUpsPerAddress and SignUpsTotal are how many requests to open an account
	// are let in a minute, on the public side, from one address (IPv4, or a
	// network of 64 bits of IPv6) and from all, up to [MaxSignUps]; others are
	// answered 429. Zero: 60 and 600. Below zero: no limit.
	SignUpsPerAddress int
	SignUpsTotal      int
	// TokensPerAccount is how many requests for a further token or another public key
	// are let in a minute, on the public side, of one account, up to [MaxSignUps]; of
	// all accounts there are as many requests for a token as SignUpsTotal says, beside
	// the sign-ups. Others are answered 429. Zero: 20. Below zero: no limit.
	TokensPerAccount int
	// TrustedProxies are the networks of proxies whose X-Forwarded-For says for
	// whom they ask, for the limits of sign-up. Nil: none.
	TrustedProxies []netip.Prefix
	// Stipend are the rules of the stipends that the trusted side pays, where who asks
	// for one names no others. Zero: those of [capycoin.StipendRules].
	Stipend capycoin.StipendRules
}

// API is a ledger's two handlers and what they share.
type API struct {
	led      *capycoin.Ledger
	iss      *capycoin.TokenIssuer
	logger   *slog.Logger
	patience patience
	allowed  []int               // the users of the trusted side; nil: all
	origins  map[string][]string // those of CORSOrigins
	signUp   SignUp
	limits   *signUpLimits
	issues   *limits[uuid.UUID] // of further tokens and changes of a key
	stipend  capycoin.StipendRules
	metrics  *metrics
	public   *side
	trusted  *side
	drained  atomic.Bool
}

// New makes the handlers of a ledger. The error is a [*capycoin.OptionError], or what
// the ledger says if it no longer serves.
func New(led *capycoin.Ledger, iss *capycoin.TokenIssuer, opts *Options) (*API, error) {
	a := &API{led: led, iss: iss, logger: slog.New(slog.DiscardHandler)}
	a.patience.wait = 2 * time.Second
	if opts == nil {
		opts = &Options{}
	}
	if opts.Logger != nil {
		a.logger = opts.Logger
	}
	if opts.Wait != 0 {
		a.patience.wait = opts.Wait
	}
	a.allowed = slices.Clone(opts.AllowUIDs)
	var err error
	if a.origins, err = namedOrigins(opts.CORSOrigins); err != nil {
		return nil, err
	}
	if a.patience.wait < time.Millisecond || a.patience.wait > time.Minute {
		return nil, &capycoin.OptionError{Field: "Wait", Value: a.patience.wait, Allowed: "1ms to 1m, or 0 for the default"}
	}
	if a.signUp = opts.SignUp; a.signUp < SignUpOpen || a.signUp > SignUpClosed {
		return nil, &capycoin.OptionError{Field: "SignUp", Value: int(a.signUp), Allowed: "SignUpOpen, SignUpInvite or SignUpClosed"}
	}
	if a.limits, err = newSignUpLimits(opts.SignUpsPerAddress, opts.SignUpsTotal, opts.TrustedProxies); err != nil {
		return nil, err
	}
	if a.issues, err = newLimits[uuid.UUID]("TokensPerAccount", opts.TokensPerAccount, defaultPerAccount, opts.SignUpsTotal); err != nil {
		return nil, err
	}
	supply, err := led.Supply(context.Background())
	if a.stipend = opts.Stipend; err == nil {
		err = a.stipend.Check(supply.Supply)
	}
	if err != nil {
		return nil, err
	}
	a.metrics = newMetrics(led, iss)
	a.public = newSide(a, "public", publicRoutes)
	a.trusted = newSide(a, "trusted", trustedRoutes)
	return a, nil
}

// Public returns the handler for everybody.
func (a *API) Public() http.Handler { return a.public }

// Trusted returns the handler for the operator.
func (a *API) Trusted() http.Handler { return a.trusted }

// Drain makes both handlers answer 503 from now on, but for GET /healthz, so
// that a server can end what is in flight and close. It can't be undone.
func (a *API) Drain() { a.drained.Store(true) }

// Peer is the process at the other end of a Unix socket.
type Peer struct {
	UID int
	PID int
}

type peerKey struct{}

// WithPeer returns a context that tells the trusted handler who called: it goes
// to the log, and is held against AllowUIDs. It is for the ConnContext of an
// [http.Server].
func WithPeer(ctx context.Context, p Peer) context.Context {
	return context.WithValue(ctx, peerKey{}, p)
}

func peerOf(ctx context.Context) (slog.Attr, bool) {
	p, ok := ctx.Value(peerKey{}).(Peer)
	return slog.String("peer", fmt.Sprintf("uid=%d pid=%d", p.UID, p.PID)), ok
}

// admits says whether who called may use the trusted side.
func (a *API) admits(ctx context.Context) bool {
	p, known := ctx.Value(peerKey{}).(Peer)
	return a.allowed == nil || known && slices.Contains(a.allowed, p.UID)
}
