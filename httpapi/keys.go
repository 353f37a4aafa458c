package httpapi

import (
	"encoding/base64"
	"errors"
	"log/slog"
	"math"
	"strings"
	"time"

	"github.com/capycoin/capycoin"
)

// strictBase64 takes one text for some bytes: with padding, and with zeros for the
// bits that are not used.
var strictBase64 = base64.StdEncoding.Strict()

const publicKeyForm = "an Ed25519 public key, 32 bytes in base64 with padding"

// base64 reads the bytes that a member has as text, as many as there is room for.
func (p *parser) base64(member string, into []byte) error {
	s, err := p.text()
	if err != nil {
		return err
	}
	var room [66]byte // for a signature, and what a text of its length could have
	if length := strictBase64.EncodedLen(len(into)); len(s) == length {
		// Line breaks, over which the decoder passes, would be missing at the end.
		if n, err := strictBase64.Decode(room[:], s); err == nil && n == len(into) {
			copy(into, room[:n])
			return nil
		}
	}
	return hasToBe(member, "%d bytes in base64 with padding (RFC 4648, section 4), %d characters", len(into), strictBase64.EncodedLen(len(into)))
}

// publicKey reads the member public_key.
func (p *parser) publicKey() (key capycoin.PublicKey, err error) {
	const member = "public_key"
	if err := p.base64(member, key[:]); err != nil {
		return key, err
	}
	if err := key.Check(); err != nil {
		return key, badForm(member, "%s has to be %s; this one can't be a key: %s.", member, publicKeyForm,
			strings.TrimPrefix(err.Error(), capycoin.ErrBadPublicKey.Error()+": "))
	}
	return key, nil
}

// maxFee reads the member max_fee.
func (p *parser) maxFee() (*capycoin.Coins, error) {
	n, err := p.integer()
	if err != nil {
		return nil, err
	}
	fee := capycoin.Coins(n)
	if fee < 0 || fee > capycoin.MaxSupply {
		return nil, hasToBe("max_fee", "a whole number, 0 to %d", capycoin.MaxSupply)
	}
	return &fee, nil
}

// notAfter reads the member not_after. It is signed to the microsecond, so one that
// says more is refused.
func (p *parser) notAfter() (time.Time, error) {
	s, err := p.string()
	if err != nil {
		return time.Time{}, err
	}
	t, ok := parseInstant(s)
	if _, fraction, has := strings.Cut(s, "."); ok && has {
		ok = strings.IndexAny(fraction, "Z+-") <= 6
	}
	if !ok || t.Before(time.Unix(0, 0)) || t.Year() > 9999 {
		return time.Time{}, hasToBe("not_after", "an instant of the years 1970 to 9999 with at most microseconds, such as 2022-08-15T13:24:23.136285Z")
	}
	return t, nil
}

// signedPart returns the signature of a transfer that is being read, of which there
// may be only a part so far.
func signedPart(t *capycoin.Transfer) *capycoin.Signature {
	if t.Signature == nil {
		t.Signature = new(capycoin.Signature)
	}
	return t.Signature
}

// checkSigned makes sure that a signed transfer has all that is signed.
func (x *exchange) checkSigned(t *capycoin.Transfer, inBatch, signature, notAfter bool) error {
	switch {
	case !signature:
		return missing("signature")
	case !notAfter:
		return missing("not_after")
	case t.MaxFee == nil:
		return missing("max_fee")
	case inBatch && t.Key == "":
		return missing("key")
	case !inBatch && x.key == "":
		return badForm("Idempotency-Key", "A signed transfer has the header Idempotency-Key: its key is signed, too.")
	}
	return nil
}

func serveChangeKey(x *exchange) error {
	if !x.trusted() {
		// Whose key was stolen has to get through, whatever others ask for.
		if wait := x.issues.takeOwn(x.account); wait > 0 {
			return x.tooMany(wait, errTooManyIssues)
		}
	}
	c := capycoin.KeyChange{Account: x.account}
	var key, version, oldSignature, newSignature bool
	err := x.parseObject(func(p *parser, name []byte) (err error) {
		switch string(name) {
		case "public_key":
			key = true
			c.NewKey, err = p.publicKey()
		case "key_version":
			version = true
			var n int64
			if n, err = p.integer(); err == nil && (n < 1 || n > math.MaxUint32) {
				err = hasToBe("key_version", "a whole number, 1 to %d", uint32(math.MaxUint32))
			}
			c.Version = uint32(n)
		case "old_signature":
			oldSignature = true
			err = p.base64("old_signature", c.OldSignature[:])
		case "new_signature":
			newSignature = true
			err = p.base64("new_signature", c.NewSignature[:])
		default:
			err = p.bad("there is no member %.40q; there are public_key, key_version, old_signature and new_signature", name)
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case !key:
		return missing("public_key")
	case !version:
		return missing("key_version")
	case !oldSignature:
		return missing("old_signature")
	case !newSignature:
		return missing("new_signature")
	}
	if x.changes() {
		x.note(idAttr("account_id", x.account), slog.String("public_key", c.NewKey.String()))
	}
	acct, err := x.led.ChangeKey(x.patience.begin(), c)
	if errors.Is(err, capycoin.ErrInvalidSignature) {
		p := problemOf(err)
		p.detail = "One of the signatures is not what the old and the new key sign for this change in this ledger."
		return &p
	}
	if err != nil {
		return err
	}
	x.note(slog.Uint64("key_version", uint64(acct.KeyVersion)))
	return x.sendJSON(appendAccount(nil, &acct))
}
