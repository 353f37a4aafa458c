package httpapi

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

// parseTransfer reads a transfer: the members receiver and amount, on the
// trusted side sender, in a batch key, and those of a signed one.
func (x *exchange) parseTransfer(p *parser, inBatch bool) (t capycoin.Transfer, err error) {
	var sender, receiver, amount, signature, notAfter bool
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
				err = hasToBe("key", keyForm)
			}
		case string(name) == "max_fee":
			t.MaxFee, err = p.maxFee()
		case string(name) == "signature":
			signature = true
			err = p.base64("signature", signedPart(&t).Bytes[:])
		case string(name) == "not_after":
			notAfter = true
			signedPart(&t).NotAfter, err = p.notAfter()
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
	case t.Signature != nil:
		if err := x.checkSigned(&t, inBatch, signature, notAfter); err != nil {
			return t, err
		}
	}
	if !x.trusted() {
		t.Sender = x.account
	}
	return t, nil
}

func (x *exchange) transferMembers(inBatch bool) string {
	names := "receiver, amount, max_fee, signature and not_after"
	if inBatch {
		names = "key, " + names
	}
	if x.trusted() {
		names = "sender, " + names
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
	if x.changes() {
		x.noteTransfer(&t)
	}
	ctx := x.patience.begin()
	receipt, err := x.led.Transfer(ctx, t)
	if err != nil {
		return err
	}
	if x.changes() {
		x.noteReceipt(&receipt)
	}
	if receipt.Replayed {
		x.w.Header().Set("Idempotency-Replayed", "true")
	} else {
		x.metrics.transferred(1)
	}
	b := new(receiptWriter).append(make([]byte, 0, 400), &receipt)
	return x.sendJSON(append(b, '}'))
}

// receiptWriter writes receipts. Those of a batch mostly have time and sender in
// common, which it copies from one to the next.
type receiptWriter struct {
	timestamp time.Time
	sender    uuid.UUID
	common    []byte // a part of what was written
}

// append writes a receipt without the brace at its end.
func (w *receiptWriter) append(b []byte, r *capycoin.Receipt) []byte {
	b = append(b, `{"transaction_id":"`...)
	b = appendID(b, r.TransactionID)
	if w.common != nil && r.Timestamp.Equal(w.timestamp) && r.Sender == w.sender {
		b = append(b, w.common...)
	} else {
		start := len(b)
		b = append(b, `","timestamp":"`...)
		b = appendTime(b, r.Timestamp)
		b = append(b, `","sender_account_id":"`...)
		b = appendID(b, r.Sender)
		b = append(b, `","receiver_account_id":"`...)
		w.timestamp, w.sender, w.common = r.Timestamp, r.Sender, b[start:]
	}
	b = appendID(b, r.Receiver)
	b = append(b, `","sender_account_funds":`...)
	b = strconv.AppendInt(b, int64(r.SenderFunds), 10)
	b = append(b, `,"fee":`...)
	return strconv.AppendInt(b, int64(r.Fee), 10)
}

func appendID(b []byte, id uuid.UUID) []byte {
	var h [32]byte
	hex.Encode(h[:], id[:])
	b = append(append(b, h[:8]...), '-')
	b = append(append(b, h[8:12]...), '-')
	b = append(append(b, h[12:16]...), '-')
	b = append(append(b, h[16:20]...), '-')
	return append(b, h[20:]...)
}

// appendTime writes an instant with microseconds. Package time writes RFC 3339
// quickly, but with as many decimals as it takes, or none.
func appendTime(b []byte, t time.Time) []byte {
	b = t.UTC().AppendFormat(b, time.RFC3339)
	return appendMicros(b[:len(b)-len("Z")], t)
}

// appendMicros writes the microseconds of an instant, and that it is UTC.
func appendMicros(b []byte, t time.Time) []byte {
	micros := t.Nanosecond() / 1000
	decimals := [...]byte{'.', '0', '0', '0', '0', '0', '0', 'Z'}
	for i := 6; i > 0; i-- {
		decimals[i] += byte(micros % 10)
		micros /= 10
	}
	return append(b, decimals[:]...)
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
	if x.changes() {
		x.noteBatch(transfers, mode)
	}
	results, err := x.led.TransferBatch(ctx, transfers, mode)
	if err != nil {
		return err
	}
	if x.changes() {
		x.noteResults(results)
	}
	b, done := longReply(280 * (len(results) + 1))
	defer done()
	b = append(b, `{"transactions":[`...)
	var w receiptWriter
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
			b = append(w.append(b, &r.Receipt), `,"replayed":true}`...)
		default:
			made++
			b = append(w.append(b, &r.Receipt), '}')
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
