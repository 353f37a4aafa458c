package httpapi

import (
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/capycoin/capycoin"
)

func serveLastStipend(x *exchange) error {
	last, err := x.led.LastStipend(x.r.Context())
	if err != nil {
		return err
	}
	b, err := x.appendFeeAccount(x.r.Context(), []byte("{"))
	if err != nil {
		return err
	}
	if b = append(b, `,"last":`...); last.Position == 0 {
		return x.sendJSON(append(b, `null}`...))
	}
	return x.sendJSON(append(appendStipend(b, &last), '}'))
}

func appendStipend(b []byte, s *capycoin.Stipend) []byte {
	b = append(b, `{"day":"`...)
	b = s.Day.UTC().AppendFormat(b, time.DateOnly)
	b = append(b, `","window":`...)
	b = strconv.AppendInt(b, int64(s.Rules.Window), 10)
	b = append(b, `,"min_age":`...)
	b = strconv.AppendInt(b, int64(s.Rules.MinAge), 10)
	b = append(b, `,"cap":`...)
	b = appendOrNull(b, int64(s.Rules.Cap))
	for _, m := range []struct {
		name string
		n    int64
	}{{"payees", s.Payees}, {"share", int64(s.Share)}, {"funds", int64(s.Funds)}, {"paid", s.Paid}} {
		b = append(b, `,"`...)
		b = append(b, m.name...)
		b = append(b, `":`...)
		b = strconv.AppendInt(b, m.n, 10)
	}
	b = append(b, `,"position":`...)
	b = appendOrNull(b, int64(s.Position))
	b = append(b, `,"done":`...)
	return append(strconv.AppendBool(b, s.Done()), '}')
}

// parseStipend reads what is asked for: the rules of the server where the request
// has no others.
func (x *exchange) parseStipend() (rules capycoin.StipendRules, dry bool, err error) {
	rules = x.stipend
	days := func(p *parser, member string, into *int) error {
		n, err := p.small()
		if err == nil && (n < 1 || n > capycoin.MaxStipendDays) {
			err = hasToBe(member, "a whole number of days, 1 to %d", capycoin.MaxStipendDays)
		}
		*into = n
		return err
	}
	err = x.parseObject(func(p *parser, name []byte) (err error) {
		switch string(name) {
		case "window":
			err = days(p, "window", &rules.Window)
		case "min_age":
			err = days(p, "min_age", &rules.MinAge)
		case "cap":
			rules.Cap, err = p.coinsOrNull()
		case "dry_run":
			dry, err = p.boolean()
		default:
			err = p.bad("there is no member %.40q; there are window, min_age, cap and dry_run", name)
		}
		return err
	})
	return rules, dry, err
}

// servePayStipend pays the day's stipend, or says what it would be. It can take
// minutes, and lasts until it is done or the client leaves.
func servePayStipend(x *exchange) error {
	rules, dry, err := x.parseStipend()
	if err != nil {
		return err
	}
	pay := x.led.PayStipend
	if dry {
		x.note(slog.Bool("dry_run", true))
		pay = x.led.PlanStipend
	}
	s, err := pay(x.r.Context(), rules)
	if err == nil || s.Position > 0 {
		x.note(slog.String("day", s.Day.Format(time.DateOnly)), slog.Int64("payees", s.Payees), slog.Int64("share", int64(s.Share)),
			slog.Int64("paid", s.Paid))
	}
	// It may be too late for an answer by now, where there is a time for that.
	http.NewResponseController(x.w).SetWriteDeadline(time.Now().Add(auditWrite))
	switch {
	case err == nil:
		return x.sendJSON(appendStipend(nil, &s))
	case dry:
		return badOption(err)
	}
	return badOption(cutShort(err))
}

// cutShort corrects what is said of an error that came while a stipend may have been
// paid in part.
func cutShort(err error) error {
	p := problemOf(err)
	const nothing = "Nothing was applied."
	if p.status != http.StatusServiceUnavailable || !strings.HasSuffix(p.detail, nothing) {
		return err
	}
	p.detail = strings.TrimSuffix(p.detail, nothing) + "What was paid stays so; ask again, and the rest is paid."
	return fmt.Errorf("%w (%w)", &p, err)
}
