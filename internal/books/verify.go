package books

import (
	"cmp"
	"context"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/sign"
)

// The writer compares versions of keys, which costs nothing; signatures are verified
// before, by those who ask, beside each other. Any goroutine may call these.

// Verify verifies an order's signature with its sender's key, and notes the verdict in
// what it is signed with. Whether that is in form, Malformed says.
func (s *State) Verify(ctx context.Context, o *Order, v *Signed) error {
	if v.Malformed != nil {
		return nil
	}
	key, err := s.key(ctx, o.Sender)
	if err == nil && key != nil {
		s.verifyBy(key, o, v)
	}
	return err
}

func (s *State) verifyBy(key *accounts.Key, o *Order, v *Signed) {
	v.version = key.Version
	v.good = sign.TransferIsBy(&key.Public, &v.Signature, s.genesis.Ledger, key.Version, o.Sender, o.Receiver, o.Amount, o.MaxFee, v.NotAfter, o.Key)
	if v.good {
		s.signatures[1].Add(1)
	} else {
		s.signatures[0].Add(1)
	}
}

// verifyAgain is for a commit to which another ledger was quicker.
func (s *State) verifyAgain(ctx context.Context, o *Order, v *Signed) error {
	if v.Malformed != nil {
		return nil
	}
	key, err := s.key(ctx, o.Sender)
	if err == nil && key != nil && key.Version != v.version {
		s.verifyBy(key, o, v)
	}
	return err
}

// VerifyAll is Verify for the orders of a batch, on all processors. Batches of several
// callers take turns: if each of them had a goroutine for each processor, the writer, and
// who waits for it, would come last.
func (s *State) VerifyAll(ctx context.Context, orders []Order, signed []Signed) (err error) {
	if len(signed) == 0 {
		return nil
	}
	const atOnce = 16 // about a millisecond
	var next atomic.Int64
	var failed sync.Once
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), (len(signed)+atOnce-1)/atOnce) {
		workers.Go(func() {
			for {
				end := int(next.Add(atOnce))
				first, end := end-atOnce, min(end, len(orders))
				if first >= end || s.verifying.Acquire(ctx, 1) != nil {
					return
				}
				bad := s.verifySome(ctx, orders[first:end], signed)
				s.verifying.Release(1)
				if bad != nil {
					failed.Do(func() { err = bad })
					return
				}
				runtime.Gosched()
			}
		})
	}
	workers.Wait()
	return cmp.Or(err, ctx.Err())
}

// verifySome is Verify for a part of a batch.
func (s *State) verifySome(ctx context.Context, orders []Order, signed []Signed) error {
	for i := range orders {
		if o := &orders[i]; o.Signed >= 0 {
			if err := s.Verify(ctx, o, &signed[o.Signed]); err != nil {
				return err
			}
		}
	}
	return nil
}
