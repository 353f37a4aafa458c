package httpapi

import (
	"bytes"
	"errors"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

// parseTransfer reads a transfer: the members receiver and amount, on the
// trusted side sender, and in a batch key.
func (x *exchange) parseTransfer(p *parser, inBatch bool) (t capycoin.Transfer, err error) {
	var sender, receiver, amount bool
	err = p.object(func(name []byte) (err error) {
		switch {
		case string(name) == "sender" && x.trusted():
			t.Sender, err = p.id("sender")
			sender = true
		case string(name) == "receiver":
			t.Receiver, err = p.id("receiver")
			receiver = true
		case string(name) == "amount":
			var n int64
			n, err = p.integer()
			t.Amount, amount = capycoin.Coins(n), true
		case string(name) == "key" && inBatch:
			if t.Key, err = p.string(); err == nil && !capycoin.ValidKey(t.Key) {
				err = badForm("key", "%s", keyForm)
			}
		default:
			err = p.bad("there is no member %.40q; there are %s", name, x.transferMembers(inBatch))
		}
		return err
	})
	switch {
	case err != nil:
		return t, err
	case !receiver:
		return t, missing("receiver")
	case !amount:
		return t, missing("amount")
	case x.trusted() && !sender:
		return t, missing("sender")
	case !x.trusted():
		t.Sender = x.account
	}
	return t, nil
}

func (x *exchange) transferMembers(inBatch bool) string {
	names := "receiver and amount"
	if x.trusted() {
		names = "sender, " + names
	}
	if inBatch {
		names += ", and key"
	}
	return names
}

// id reads the id that a member is.
func (p *parser) id(member string) (uuid.UUID, error) {
	s, err := p.text()
	if err != nil {
		return uuid.UUID{}, err
	}
	id, err := uuid.ParseBytes(s)
	if err != nil || len(s) != 36 && len(s) != 32 { // see parseID
		return uuid.UUID{}, badID(member)
	}
	return id, nil
}

func serveTransfer(x *exchange) error {
	body, err := x.body(maxBody)
	if err != nil {
		return err
	}
	p := &parser{b: body}
	if err := p.valid(); err != nil {
		return badBody(err)
	}
	t, err := x.parseTransfer(p, false)
	if err == nil {
		err = p.end()
	}
	if err != nil {
		return badBody(err)
	}
	t.Key = x.key
	ctx := x.patience.begin()
	receipt, err := x.led.Transfer(ctx, t)
	if err != nil {
		return err
	}
	x.metrics.transferred(1)
	if receipt.Replayed {
		x.w.Header().Set("Idempotency-Replayed", "true")
	}
	return x.sendJSON(append(appendReceipt(make([]byte, 0, 400), &receipt), '}'))
}

// appendReceipt writes a receipt without the brace at its end.
func appendReceipt(b []byte, r *capycoin.Receipt) []byte {
	b = append(b, `{"transaction_id":"`...)
	b = appendID(b, r.TransactionID)
	b = append(b, `","timestamp":"`...)
	b = appendTime(b, r.Timestamp)
	b = append(b, `","sender_account_id":"`...)
	b = appendID(b, r.Sender)
	b = append(b, `","receiver_account_id":"`...)
	b = appendID(b, r.Receiver)
	b = append(b, `","sender_account_funds":`...)
	b = strconv.AppendInt(b, int64(r.SenderFunds), 10)
	b = append(b, `,"fee":`...)
	return strconv.AppendInt(b, int64(r.Fee), 10)
}

// hexPairs are the two digits of each byte.
var hexPairs = func() (pairs [256][2]byte) {
	const digits = "0123456789abcdef"
	for c := range pairs {
		pairs[c] = [2]byte{digits[c>>4], digits[c&15]}
	}
	return pairs
}()

// appendID writes an id. A page has three of them a transaction.
func appendID(b []byte, id uuid.UUID) []byte {
	s := [36]byte{8: '-', 13: '-', 18: '-', 23: '-'}
	for i, at := range [16]uint8{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34} {
		pair := &hexPairs[id[i]]
		s[at], s[at+1] = pair[0], pair[1]
	}
	return append(b, s[:]...)
}

// appendTime writes an instant as RFC 3339 with microseconds, in UTC. Package
// time would write as many decimals as it takes, or none, and take twice as long.
func appendTime(b []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	s := [27]byte{4: '-', 7: '-', 10: 'T', 13: ':', 16: ':', 19: '.', 26: 'Z'}
	put := func(at, digits, n int) {
		for i := at + digits - 1; i >= at; i-- {
			s[i] = byte('0' + n%10)
			n /= 10
		}
	}
	put(0, 4, year) // ledger time is from 1970 to 9999
	put(5, 2, int(month))
	put(8, 2, day)
	put(11, 2, hour)
	put(14, 2, minute)
	put(17, 2, second)
	put(20, 6, t.Nanosecond()/1000)
	return append(b, s[:]...)
}

func serveBatch(x *exchange) error {
	limit, most := int64(maxBatch), 1000
	if x.trusted() {
		limit, most = maxTrustedBatch, capycoin.MaxBatch
	}
	body, err := x.body(limit)
	if err != nil {
		return err
	}
	transfers, mode, err := x.parseBatch(&parser{b: body}, most)
	if err != nil {
		return badBody(err)
	}
	ctx := x.patience.begin()
	results, err := x.led.TransferBatch(ctx, transfers, mode)
	if err != nil {
		return err
	}
	b := append(make([]byte, 0, 280*(len(results)+1)), `{"transactions":[`...)
	made := 0
	for i := range results {
		if i > 0 {
			b = append(b, ',')
		}
		switch r := &results[i]; {
		case r.Err != nil:
			p := problemOf(r.Err)
			x.metrics.declined(p.code)
			b = p.append(b)
		case r.Receipt.Replayed:
			b = append(appendReceipt(b, &r.Receipt), `,"replayed":true}`...)
		default:
			made++
			b = append(appendReceipt(b, &r.Receipt), '}')
		}
	}
	x.metrics.batch(len(results))
	x.metrics.transferred(made)
	return x.sendJSON(append(b, `]}`...))
}

// parseBatch reads the body of a batch. An error about one of the transfers
// says which.
func (x *exchange) parseBatch(p *parser, most int) (transfers []capycoin.Transfer, mode capycoin.BatchMode, err error) {
	if err := p.valid(); err != nil {
		return nil, 0, err
	}
	list := false
	err = p.object(func(name []byte) error {
		switch string(name) {
		case "transactions":
			list = true
			transfers = make([]capycoin.Transfer, 0, min(most, bytes.Count(p.b, []byte("{")))) // there are no more
			return p.array(func(n int) error {
				if n == most {
					return badForm("transactions", "A batch has 1 to %d transfers.", most)
				}
				t, err := x.parseTransfer(p, true)
				if err != nil {
					return atIndex(badBody(err), n)
				}
				transfers = append(transfers, t)
				return nil
			})
		case "atomic":
			atomic, err := p.boolean()
			if atomic {
				mode = capycoin.Atomic
			}
			return err
		}
		return p.bad("there is no member %.40q; there are transactions and atomic", name)
	})
	switch {
	case err != nil:
		return nil, 0, err
	case !list:
		return nil, 0, missing("transactions")
	case len(transfers) == 0:
		return nil, 0, badForm("transactions", "A batch has 1 to %d transfers.", most)
	}
	return transfers, mode, p.end()
}

// atIndex notes in a problem which transfer of a batch it is about.
func atIndex(err error, n int) error {
	if p := (*problem)(nil); errors.As(err, &p) {
		p.index = &n
	}
	return err
}
