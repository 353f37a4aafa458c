package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

// parseObject reads a body that may be missing.
func (x *exchange) parseObject(member func(p *parser, name []byte) error) error {
	body, err := x.body(maxBody)
	if err != nil || body == nil {
		return err
	}
	p := &parser{b: body}
	if err := p.valid(); err != nil {
		return badBody(err)
	}
	if err := p.object(func(name []byte) error { return member(p, name) }); err != nil {
		return badBody(err)
	}
	return badBody(p.end())
}

// serveOpenAccount opens an account, with a token and a key if that is asked for.
func serveOpenAccount(x *exchange) error {
	withToken := false
	var key capycoin.PublicKey
	err := x.parseObject(func(p *parser, name []byte) (err error) {
		switch string(name) {
		case "token":
			withToken, err = p.boolean()
		case "public_key":
			key, err = p.publicKey()
		default:
			err = p.bad("there is no member %.40q; there are token and public_key", name)
		}
		return err
	})
	if err != nil {
		return err
	}
	if !key.IsZero() {
		x.note(slog.String("public_key", key.String()))
	}
	if withToken {
		return x.openAccount(x.openKeyed(key))
	}
	ctx, end := x.hashing()
	defer end()
	var acct capycoin.Account
	if key.IsZero() {
		acct, err = x.led.OpenAccount(ctx)
	} else {
		acct, err = x.led.OpenKeyedAccount(ctx, key)
	}
	if err != nil {
		return err
	}
	x.note(idAttr("account_id", acct.ID))
	return x.sendJSON(append(appendID([]byte(`{"account_id":"`), acct.ID), `"}`...))
}

// openKeyed returns what opens an account with a token, and with a key unless that
// is the zero one.
func (x *exchange) openKeyed(key capycoin.PublicKey) func(context.Context) (capycoin.Account, capycoin.IssuedToken, error) {
	if key.IsZero() {
		return x.iss.OpenAccount
	}
	return func(ctx context.Context) (capycoin.Account, capycoin.IssuedToken, error) {
		return x.iss.OpenKeyedAccount(ctx, key)
	}
}

// openAccount answers with an account and its first token.
func (x *exchange) openAccount(open func(context.Context) (capycoin.Account, capycoin.IssuedToken, error)) error {
	ctx, end := x.hashing()
	defer end()
	acct, tok, err := open(ctx)
	if err != nil {
		return err
	}
	x.note(idAttr("account_id", acct.ID), idAttr("token_id", tok.ID))
	b := appendID([]byte(`{"account_id":"`), acct.ID)
	b = append(b, `",`...)
	return x.sendJSON(append(appendIssued(b, &tok), '}'))
}

// appendIssued writes the members of a new token.
func appendIssued(b []byte, t *capycoin.IssuedToken) []byte {
	b = append(b, `"token_id":"`...)
	b = appendID(b, t.ID)
	b = append(b, `","token":"`...)
	b = append(b, t.Secret...)
	b = append(b, `","token_expiry":"`...)
	b = appendTime(b, t.Expires)
	return append(b, '"')
}

// parseLabelled reads the body of a request for a token or an invite.
func (x *exchange) parseLabelled(label *string, expires *time.Time) error {
	return x.parseObject(func(p *parser, name []byte) (err error) {
		switch string(name) {
		case "label":
			*label, err = p.string()
			return err
		case "expires":
			s, err := p.string()
			if err != nil {
				return err
			}
			var ok bool
			if *expires, ok = parseInstant(s); !ok {
				return hasToBe("expires", "an instant such as 2022-08-15T13:24:23Z")
			}
			if expires.IsZero() {
				return capycoin.ErrBadExpiry // the library takes this for none
			}
			return nil
		}
		return p.bad("there is no member %.40q; there are label and expires", name)
	})
}

// defaultPerAccount is how many further tokens and changes of its key an account may
// ask for a minute. A token costs what an account does, a hash and a place in the
// file, and is revoked in no time; a change of the key costs the place.
const defaultPerAccount = 20

func serveIssueToken(x *exchange) error {
	if !x.trusted() {
		if wait := x.issues.take(x.account); wait > 0 {
			return x.tooMany(wait, errTooManyIssues)
		}
	}
	var req capycoin.TokenRequest
	err := x.parseLabelled(&req.Label, &req.Expires)
	if err != nil {
		return err
	}
	x.note(idAttr("account_id", x.account))
	ctx, end := x.hashing()
	defer end()
	tok, err := x.iss.Issue(ctx, x.account, req)
	if err != nil {
		return err
	}
	x.note(idAttr("token_id", tok.ID), slog.Time("expires", tok.Expires))
	b := append(appendIssued([]byte("{"), &tok), `,"label":`...)
	return x.sendJSON(append(appendString(b, tok.Label), '}'))
}

func serveTokens(x *exchange) error {
	tokens, err := x.iss.List(x.r.Context(), x.account)
	if err != nil {
		return err
	}
	b := appendID([]byte(`{"account_id":"`), x.account)
	b = append(b, `","tokens":[`...)
	for i, t := range tokens {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendListed(b, "token", t.ID, t.Label, t.Created, t.Expires)
	}
	return x.sendJSON(append(b, `]}`...))
}

// appendListed writes a token or an invite of a list.
func appendListed(b []byte, what string, id uuid.UUID, label string, created, expires time.Time) []byte {
	b = append(append(append(b, `{"`...), what...), `_id":"`...)
	b = append(appendID(b, id), `","label":`...)
	b = append(appendString(b, label), `,"created":"`...)
	b = append(appendTime(b, created), `","`...)
	b = append(append(b, what...), `_expiry":"`...)
	return append(appendTime(b, expires), `"}`...)
}

func serveRevokeToken(x *exchange) error {
	x.note(idAttr("account_id", x.account), idAttr("token_id", x.object))
	ctx := x.patience.begin()
	if err := x.iss.Revoke(ctx, x.account, x.object); err != nil {
		return err
	}
	x.w.WriteHeader(http.StatusNoContent)
	return nil
}
