package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

// optionMembers are the members of requests that are options of the library.
var optionMembers = map[string]string{
	"Flat": "flat", "BasisPoints": "basis_points", "Min": "min", "Max": "max", "Exempt": "exempt",
	"Window": "window", "MinAge": "min_age", "Cap": "cap",
}

// badOption turns what the library says of an option into a problem with the
// member's name.
func badOption(err error) error {
	bad := (*capycoin.OptionError)(nil)
	if !errors.As(err, &bad) {
		return err
	}
	name := optionMembers[bad.Field]
	return badForm(name, "%s is %v, allowed is %s.", name, bad.Value, bad.Allowed)
}

// coins reads an amount whose range is the library's to check.
func (p *parser) coins() (capycoin.Coins, error) {
	n, err := p.integer()
	return capycoin.Coins(n), err
}

// coinsOrNull reads an amount, 0 for null.
func (p *parser) coinsOrNull() (capycoin.Coins, error) {
	if p.null() {
		return 0, nil
	}
	return p.coins()
}

// small reads a number whose range, which the library checks, is within 32 bits.
func (p *parser) small() (int, error) {
	n, err := p.integer()
	return int(min(max(n, math.MinInt32), math.MaxInt32)), err
}

func serveFee(x *exchange) error {
	s, ok := x.query["amount"]
	if !ok {
		return badForm("amount", "The parameter amount is missing.")
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != s || n > int64(capycoin.MaxSupply) {
		return hasToBe("amount", "a whole number, 1 to %d", capycoin.MaxSupply)
	}
	fee, err := x.led.Fee(x.r.Context(), capycoin.Coins(n))
	if err != nil {
		return err
	}
	b := strconv.AppendInt([]byte(`{"amount":`), n, 10)
	b = append(b, `,"fee":`...)
	return x.sendJSON(append(strconv.AppendInt(b, int64(fee), 10), '}'))
}

// appendFeeAccount writes the members about the account of the fees, which there is
// none of before the first policy.
func (x *exchange) appendFeeAccount(ctx context.Context, b []byte) ([]byte, error) {
	acct, err := x.led.Account(ctx, capycoin.FeeAccount())
	if err != nil && !errors.Is(err, capycoin.ErrAccountNotFound) {
		return nil, err
	}
	b = append(b, `"fee_account_id":"`...)
	b = appendID(b, capycoin.FeeAccount())
	b = append(b, `","fee_account_funds":`...)
	return strconv.AppendInt(b, int64(acct.Funds), 10), nil
}

func serveFeePolicy(x *exchange) error { return x.sendFeePolicy(x.r.Context()) }

func (x *exchange) sendFeePolicy(ctx context.Context) error {
	p, since, err := x.led.FeePolicy(ctx)
	if err != nil {
		return err
	}
	b := strconv.AppendInt([]byte(`{"flat":`), int64(p.Flat), 10)
	b = append(b, `,"basis_points":`...)
	b = strconv.AppendInt(b, int64(p.BasisPoints), 10)
	b = append(b, `,"min":`...)
	b = strconv.AppendInt(b, int64(p.Min), 10)
	b = append(b, `,"max":`...)
	b = appendOrNull(b, int64(p.Max))
	b = append(b, `,"exempt":[`...)
	for i, id := range p.Exempt {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendID(append(b, '"'), id), '"')
	}
	b = append(b, `],"since":`...)
	if since.IsZero() {
		b = append(b, `null`...)
	} else {
		b = append(appendTime(append(b, '"'), since), '"')
	}
	if b, err = x.appendFeeAccount(ctx, append(b, ',')); err != nil {
		return err
	}
	return x.sendJSON(append(b, '}'))
}

// appendOrNull writes a number, null for 0.
func appendOrNull(b []byte, n int64) []byte {
	if n == 0 {
		return append(b, `null`...)
	}
	return strconv.AppendInt(b, n, 10)
}

// serveSetFeePolicy sets a policy as a whole: what is left out is none. A body there
// has to be, so that no request ends all fees by an oversight.
func serveSetFeePolicy(x *exchange) error {
	body, err := x.body(maxBody)
	if err != nil {
		return err
	}
	policy, err := parseFeePolicy(&parser{b: body})
	if err != nil {
		return badBody(err)
	}
	x.note(slog.Int64("flat", int64(policy.Flat)), slog.Int("basis_points", policy.BasisPoints),
		slog.Int64("min", int64(policy.Min)), slog.Int64("max", int64(policy.Max)), slog.Int("exempt", len(policy.Exempt)))
	ctx := x.patience.begin()
	if err := x.led.SetFeePolicy(ctx, policy); err != nil {
		if errors.Is(err, capycoin.ErrAccountNotFound) {
			err = x.nameUnknown(ctx, err, policy.Exempt)
		}
		return badOption(err)
	}
	return x.sendFeePolicy(ctx)
}

func parseFeePolicy(p *parser) (policy capycoin.FeePolicy, err error) {
	if err := p.valid(); err != nil {
		return policy, err
	}
	err = p.object(func(name []byte) (err error) {
		switch string(name) {
		case "flat":
			policy.Flat, err = p.coins()
		case "basis_points":
			policy.BasisPoints, err = p.small()
		case "min":
			policy.Min, err = p.coins()
		case "max":
			policy.Max, err = p.coinsOrNull()
		case "exempt":
			err = p.array(func(int) error {
				id, err := p.id("exempt")
				policy.Exempt = append(policy.Exempt, id)
				return err
			})
		default:
			err = p.bad("there is no member %.40q; there are flat, basis_points, min, max and exempt", name)
		}
		return err
	})
	if err != nil {
		return policy, err
	}
	return policy, p.end()
}

// nameUnknown turns ErrAccountNotFound into a problem that names the first account
// of a list that there is none of.
func (x *exchange) nameUnknown(ctx context.Context, notFound error, ids []uuid.UUID) error {
	for _, id := range ids {
		if _, err := x.led.Account(ctx, id); errors.Is(err, capycoin.ErrAccountNotFound) && id != capycoin.FeeAccount() {
			p := problemOf(notFound)
			p.detail = fmt.Sprintf("There is no account %s, which is to be exempt.", id)
			return &p
		}
	}
	return notFound
}
