package httpapi

import (
	"log/slog"
	"math"
	"slices"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

// Whoever reaches the trusted side can spend from every account, so the log has
// what was done there: the line of a request that changes something has the
// message "change", not "request", and the ids, amounts and keys that it was
// about. Tokens, and what their owners call them, are not among them.

// changes says whether the log has what this request does.
func (x *exchange) changes() bool { return x.route != nil && x.route.change }

// note keeps something of a change for the log. Where nothing is kept it is not
// to be called on the way of a payment: its arguments would be made for nothing.
func (x *exchange) note(attrs ...slog.Attr) {
	if x.changes() {
		x.did = append(x.did, attrs...)
	}
}

func idAttr(name string, id uuid.UUID) slog.Attr { return slog.String(name, id.String()) }

// noteTransfer keeps what was asked for.
func (x *exchange) noteTransfer(t *capycoin.Transfer) {
	x.note(idAttr("sender", t.Sender), idAttr("receiver", t.Receiver), slog.Int64("amount", int64(t.Amount)))
	if t.Key != "" {
		x.note(slog.String("key", t.Key))
	}
	if t.Signature != nil {
		x.note(slog.Bool("signed", true))
	}
}

// noteReceipt keeps what came of it.
func (x *exchange) noteReceipt(r *capycoin.Receipt) {
	x.note(idAttr("transaction_id", r.TransactionID))
	if r.Fee > 0 {
		x.note(slog.Int64("fee", int64(r.Fee)))
	}
	if r.Replayed {
		x.note(slog.Bool("replayed", true))
	}
}

// noteBatch keeps what was asked for, in short: the journal has the transfers
// themselves.
func (x *exchange) noteBatch(transfers []capycoin.Transfer, mode capycoin.BatchMode) {
	x.note(slog.Int("transfers", len(transfers)), slog.Bool("atomic", mode == capycoin.Atomic))
	sender := transfers[0].Sender
	if !slices.ContainsFunc(transfers, func(t capycoin.Transfer) bool { return t.Sender != sender }) {
		x.note(idAttr("sender", sender))
	}
	if key := transfers[0].Key; key != "" {
		x.note(slog.String("first_key", key))
	}
}

// noteResults keeps what came of a batch: how many transfers were made, how many
// had been made before, and between which two the new ones are in the journal.
func (x *exchange) noteResults(results []capycoin.Result) {
	made, replayed, moved := 0, 0, int64(0)
	var first, last uuid.UUID
	for i := range results {
		switch r := &results[i]; {
		case r.Err != nil:
		case r.Receipt.Replayed:
			replayed++
		default:
			if made++; made == 1 {
				first = r.Receipt.TransactionID
			}
			last = r.Receipt.TransactionID
			// The same coins can move many times: more than an int64 has.
			moved += min(int64(r.Receipt.Amount), math.MaxInt64-moved)
		}
	}
	x.note(slog.Int("made", made), slog.Int("replayed", replayed), slog.Int64("amount", moved))
	if made > 0 {
		x.note(idAttr("first_transaction_id", first), idAttr("last_transaction_id", last))
	}
}
