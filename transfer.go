package capycoin

import (
	"context"
	"fmt"
	"time"

	"github.com/capycoin/capycoin/internal/books"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
)

// transferOp is a single transfer on its way to the writer and back, with all the room
// that it takes.
type transferOp struct {
	books.Transfers
	order   [1]books.Order
	signed  [1]books.Signed
	outcome [1]books.Outcome
}

func newTransferOp() *transferOp {
	o := new(transferOp)
	o.Orders, o.Outcomes = o.order[:], o.outcome[:]
	return o
}

// orderOf copies what a transfer asks for, so that what is verified is what is judged,
// whatever its caller does to it meanwhile. What it is signed with is added to signed.
func orderOf(t *Transfer, signed []books.Signed) (books.Order, []books.Signed) {
	o := books.Order{Sender: t.Sender, Receiver: t.Receiver, Amount: int64(t.Amount), Key: t.Key, Signed: -1}
	if t.MaxFee != nil {
		o.MaxFee, o.HasMax = int64(*t.MaxFee), true
	}
	if t.Signature != nil {
		o.Signed = int32(len(signed))
		s := *t.Signature
		v := books.Signed{NotAfter: boundMicros(s.NotAfter.Truncate(time.Microsecond)), Signature: s.Bytes}
		v.Malformed = books.CheckSignedForm(o.Key, o.MaxFee, o.HasMax, v.NotAfter)
		signed = append(signed, v)
	}
	return o, signed
}

// resultOf is what became of an order.
func resultOf(o *books.Order, out *books.Outcome) (Receipt, error) {
	switch out.Refusal {
	case nil:
		return Receipt{
			TransactionID: record.IDAt(out.Time, out.Position), Position: out.Position, Timestamp: wire.TimeOf(out.Time),
			Sender: o.Sender, Receiver: o.Receiver, Amount: Coins(o.Amount), Fee: Coins(out.Fee), SenderFunds: Coins(out.Funds),
			Replayed: out.Replayed,
		}, nil
	case books.ErrFeeTooHigh:
		return Receipt{}, &FeeTooHighError{Fee: Coins(out.Fee), MaxFee: Coins(o.MaxFee)}
	case books.ErrInsufficientFunds:
		return Receipt{}, &InsufficientFundsError{Funds: Coins(out.Funds), Required: Coins(books.Required(o.Amount, out.Fee))}
	}
	return Receipt{}, out.Refusal
}

// Transfer moves coins and returns once that is on the disk. Checks, first
// failure wins: [ErrMalformedSignature], [ErrBadKey], the key (used before: the
// first receipt again, marked as replayed, or [ErrKeyReused]),
// [ErrSignatureRequired] or [ErrInvalidSignature], [ErrSignatureExpired],
// [ErrSignatureTooLong], [ErrAmountIsZero], [ErrAmountIsNegative],
// [ErrSameAccount], [ErrSenderNotFound], [ErrFeeAccount], [ErrReceiverNotFound],
// [ErrFeeTooHigh], [ErrInsufficientFunds].
func (l *Ledger) Transfer(ctx context.Context, t Transfer) (Receipt, error) {
	o := l.transfers.Get().(*transferOp)
	o.order[0], o.Signed = orderOf(&t, o.signed[:0])
	o.Bytes = o.order[0].Size()
	if len(o.Signed) > 0 {
		if err := l.books.Verify(ctx, &o.order[0], &o.Signed[0]); err != nil {
			l.transfers.Put(o)
			return Receipt{}, l.eng.Failed(err)
		}
	}
	mine, err := l.eng.Submit(ctx, &o.Transfers)
	if !mine {
		return Receipt{}, err
	}
	var r Receipt
	if err == nil {
		r, err = resultOf(&o.order[0], &o.outcome[0])
	}
	l.transfers.Put(o)
	return r, err
}

// TransferBatch makes 1 to [MaxBatch] transfers in their order, later ones on
// top of earlier ones, in one commit. With [EachAlone] the results are those
// of the transfers, in the same order, and the error is nil. With [Atomic] the
// first refused transfer makes it a [*BatchError] and moves nothing; a batch
// that does not fit into one commit of the store is [ErrBatchTooLarge].
//
// An error means that no transfer was made, unless it is [ErrOutcomeUnknown].
// On a store whose commits are smaller than the batch, one with EachAlone is
// made in parts, and should a later part fail its results say so.
func (l *Ledger) TransferBatch(ctx context.Context, transfers []Transfer, mode BatchMode) ([]Result, error) {
	if len(transfers) == 0 || len(transfers) > MaxBatch {
		return nil, fmt.Errorf("%w, this one has %d", ErrBatchSize, len(transfers))
	}
	if mode != Atomic && mode != EachAlone {
		return nil, &OptionError{Field: "mode", Value: int(mode), Allowed: "EachAlone or Atomic"}
	}
	orders := make([]books.Order, len(transfers))
	var signed []books.Signed
	for i := range transfers {
		orders[i], signed = orderOf(&transfers[i], signed)
	}
	if err := l.books.VerifyAll(ctx, orders, signed); err != nil {
		return nil, l.eng.Failed(err)
	}
	outcomes := make([]books.Outcome, len(orders))
	results := make([]Result, len(orders))
	for first := 0; first < len(orders); {
		last, bytes := first, 0
		for ; last < len(orders); last++ {
			size := orders[last].Size()
			// The parts of an atomic batch can't stand alone.
			if mode == EachAlone && last > first && bytes+size > l.books.Log().MaxAppend() {
				break
			}
			bytes += size
		}
		o := &books.Transfers{
			Orders: orders[first:last], Signed: signed, Outcomes: outcomes[first:last], Bytes: bytes, Atomic: mode == Atomic,
		}
		l.books.Hint(o)
		if err := l.submit(ctx, o); err != nil {
			if first == 0 {
				return nil, err
			}
			for i := first; i < len(results); i++ {
				results[i] = Result{Err: err}
			}
			break
		}
		for i := first; i < last; i++ {
			results[i].Receipt, results[i].Err = resultOf(&orders[i], &outcomes[i])
		}
		if o.Atomic && o.Refused >= 0 {
			return nil, &BatchError{Index: o.Refused, Err: results[o.Refused].Err}
		}
		first = last
	}
	return results, nil
}
