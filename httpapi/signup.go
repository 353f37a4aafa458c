package httpapi

import (
	"context"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/capycoin/capycoin"
)

// SignUp is who may open an account on the public side.
type SignUp int

const (
	// SignUpOpen lets everybody open accounts.
	SignUpOpen SignUp = iota
	// SignUpInvite lets those who have an invite that was not used yet.
	SignUpInvite
	// SignUpClosed lets nobody.
	SignUpClosed
)

// MaxSignUps is the highest limit of sign-ups a minute.
const MaxSignUps = 1_000_000

const (
	defaultPerAddress = 60
	defaultTotal      = 600
)

// signUpLimits are the limits of the addresses that ask for an account.
type signUpLimits struct {
	*limits[netip.Prefix]
	proxies []netip.Prefix
}

func newSignUpLimits(perAddress, total int, proxies []netip.Prefix) (*signUpLimits, error) {
	for _, p := range proxies {
		if !p.IsValid() || p.Addr().Is4In6() {
			return nil, &capycoin.OptionError{Field: "TrustedProxies", Value: p, Allowed: "networks such as 10.0.0.0/8 or fd00::/8, those of IPv4 not within IPv6"}
		}
	}
	l, err := newLimits[netip.Prefix]("SignUpsPerAddress", perAddress, defaultPerAddress, total)
	return &signUpLimits{l, proxies}, err
}

// client returns who asks: an address of IPv4, or a network of 64 bits of IPv6,
// of which one subscriber has all. A proxy that is named is asked whom it asks
// for: each adds to X-Forwarded-For, at the end, whom it got the request from,
// and what is before that is only as good as that one's word.
func (l *signUpLimits) client(r *http.Request) netip.Prefix {
	addr, _ := parseAddress(r.RemoteAddr) // not of IP: one client for all of these
	hops := strings.Join(r.Header.Values("X-Forwarded-For"), ",")
	for l.trusts(addr) && hops != "" {
		comma := strings.LastIndexByte(hops, ',')
		hop, ok := parseAddress(strings.TrimSpace(hops[comma+1:]))
		if !ok {
			break
		}
		addr, hops = hop, hops[:max(comma, 0)]
	}
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	network, _ := addr.Prefix(bits) // zero for none
	return network
}

func (l *signUpLimits) trusts(addr netip.Addr) bool {
	for _, p := range l.proxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// parseAddress reads an address of IP, with or without a port. One of IPv4 is
// the same within IPv6.
func parseAddress(s string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil {
		var with netip.AddrPort
		with, err = netip.ParseAddrPort(s)
		addr = with.Addr()
	}
	return addr.Unmap().WithZone(""), err == nil
}

// tooMany says when to come again.
func (x *exchange) tooMany(wait time.Duration, err error) error {
	x.w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	return err
}

// serveSignUp opens an account with its first token. What costs nothing is
// looked at first: the body is read when there is room for the request.
func serveSignUp(x *exchange) error {
	if x.signUp == SignUpClosed {
		return errSignUpClosed
	}
	if wait := x.limits.take(x.limits.client(x.r)); wait > 0 {
		return x.tooMany(wait, errTooManySignUps)
	}
	code, given := "", false
	var key capycoin.PublicKey
	err := x.parseObject(func(p *parser, name []byte) (err error) {
		switch {
		case string(name) == "public_key":
			key, err = p.publicKey()
		case string(name) != "invite":
			err = p.bad("there is no member %.40q; there are invite and public_key", name)
		case x.signUp == SignUpOpen:
			err = p.bad("sign-up is open to all, leave the member invite out; the invite stays unused")
		default:
			code, err = p.string()
			given = true
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case x.signUp == SignUpOpen:
		return x.openAccount(x.openKeyed(key))
	case !given:
		return errInviteRequired
	}
	return x.openAccount(func(ctx context.Context) (capycoin.Account, capycoin.IssuedToken, error) {
		if key.IsZero() {
			return x.iss.OpenInvited(ctx, code)
		}
		return x.iss.OpenKeyedInvited(ctx, code, key)
	})
}
