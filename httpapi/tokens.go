package httpapi

import (
	"net/http"

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

// serveSignUp opens an account with its first token.
func serveSignUp(x *exchange) error {
	err := x.parseObject(func(p *parser, name []byte) error { return p.bad("there is no member %.40q; there are none", name) })
	if err != nil {
		return err
	}
	return x.openAccount(true)
}

// serveOpenAccount opens an account, with a token if that is asked for.
func serveOpenAccount(x *exchange) error {
	withToken := false
	err := x.parseObject(func(p *parser, name []byte) (err error) {
		if string(name) != "token" {
			return p.bad("there is no member %.40q; there is token", name)
		}
		withToken, err = p.boolean()
		return err
	})
	if err != nil {
		return err
	}
	return x.openAccount(withToken)
}

func (x *exchange) openAccount(withToken bool) error {
	ctx, end := x.hashing()
	defer end()
	if !withToken {
		acct, err := x.led.OpenAccount(ctx)
		if err != nil {
			return err
		}
		return x.sendJSON(append(appendID([]byte(`{"account_id":"`), acct.ID), `"}`...))
	}
	acct, tok, err := x.iss.OpenAccount(ctx)
	if err != nil {
		return err
	}
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

func serveIssueToken(x *exchange) error {
	var req capycoin.TokenRequest
	err := x.parseObject(func(p *parser, name []byte) (err error) {
		switch string(name) {
		case "label":
			req.Label, err = p.string()
			return err
		case "expires":
			s, err := p.string()
			if err != nil {
				return err
			}
			var ok bool
			if req.Expires, ok = parseInstant(s); !ok {
				return badForm("expires", "expires has to be an instant such as 2022-08-15T13:24:23Z.")
			}
			if req.Expires.IsZero() {
				return capycoin.ErrBadExpiry // the library takes this for none
			}
			return nil
		}
		return p.bad("there is no member %.40q; there are label and expires", name)
	})
	if err != nil {
		return err
	}
	ctx, end := x.hashing()
	defer end()
	tok, err := x.iss.Issue(ctx, x.account, req)
	if err != nil {
		return err
	}
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
		b = append(b, `{"token_id":"`...)
		b = appendID(b, t.ID)
		b = append(b, `","label":`...)
		b = appendString(b, t.Label)
		b = append(b, `,"created":"`...)
		b = appendTime(b, t.Created)
		b = append(b, `","token_expiry":"`...)
		b = appendTime(b, t.Expires)
		b = append(b, `"}`...)
	}
	return x.sendJSON(append(b, `]}`...))
}

func serveRevokeToken(x *exchange) error {
	ctx := x.patience.begin()
	if err := x.iss.Revoke(ctx, x.account, x.object); err != nil {
		return err
	}
	x.w.WriteHeader(http.StatusNoContent)
	return nil
}
