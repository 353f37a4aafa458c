package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

// twoLedgerChecks are the checks of two ledgers on one log, each with folds
// of its own. A ledger learns what the other wrote when an append of its own
// is fenced.
func twoLedgerChecks() []check {
	return []check{
		{"TwoLedgers/Creation", needSecond, checkTwoCreations},
		{"TwoLedgers/Alternately", needSecond, checkTwoAlternately},
		{"TwoLedgers/Concurrently", needSecond, checkTwoConcurrently},
		{"TwoLedgers/Keys", needSecond, checkTwoKeys},
	}
}

// pair is two ledgers on one log.
type pair struct {
	e     *env
	logs  [2]capycoin.Log
	folds [2]capycoin.Folds
	leds  [2]*capycoin.Ledger
}

func (e *env) pair() *pair {
	e.Helper()
	s := e.store()
	p := &pair{e: e}
	p.logs[0], p.folds[0] = s.Log, s.Folds
	p.logs[1], p.folds[1] = s.second()
	return p
}

// open opens both ledgers, one after the other.
func (p *pair) open() {
	p.e.Helper()
	for i := range p.leds {
		p.leds[i] = p.e.ledger(p.logs[i], p.folds[i])
	}
}

// settle closes both ledgers, reopens them, now both up to date, and expects
// the same clean books. It returns these and closes.
func (p *pair) settle(receipts []capycoin.Receipt) []string {
	p.e.Helper()
	for _, led := range p.leds {
		p.e.mustClose(led)
	}
	p.open()
	want := p.e.books(p.leds[0])
	p.e.wantBooks("the second ledger against the first", p.leds[1], want)
	for _, led := range p.leds {
		p.e.audit(led)
		p.e.wantReceipts(led, receipts)
		p.e.mustClose(led)
	}
	return want
}

// wantTransactions compares the number of transactions in all.
func (p *pair) wantTransactions(want int) {
	p.e.Helper()
	for i, led := range p.leds {
		supply, err := led.Supply(ctx)
		if err != nil || supply.Transactions != int64(want) {
			p.e.Errorf("ledger %d: got %d transactions, error %v; want %d", i, supply.Transactions, err, want)
		}
	}
}

// checkTwoCreations opens two ledgers on an empty log at once: one of them
// creates it, the other finds it.
func checkTwoCreations(e *env) {
	for range 5 {
		p := e.pair()
		var errs [2]error
		var opening sync.WaitGroup
		for i := range p.leds {
			opening.Go(func() {
				p.leds[i], errs[i] = capycoin.OpenStore(ctx, p.logs[i], p.folds[i], &capycoin.Options{Supply: testSupply})
			})
		}
		opening.Wait()
		if err := errors.Join(errs[0], errs[1]); err != nil {
			e.Fatalf("OpenStore of two ledgers at once: got error %v, want none", err)
		}
		e.wantTail(p.logs[0], 1)
		p.settle(nil)
	}
}

// checkTwoAlternately transfers by turns. Each ledger finds the other's record
// where its own was to go.
func checkTwoAlternately(e *env) {
	p := e.pair()
	p.open()
	ids := e.openAccounts(p.leds[0], 3)
	seed := capycoin.DefaultSeedAccount()
	accounts := []uuid.UUID{seed, ids[0], ids[1], ids[2]}
	e.openAccounts(p.leds[1], 1) // By this the second ledger learns of them.
	receipts := []capycoin.Receipt{}
	funds := map[uuid.UUID]capycoin.Coins{seed: testSupply}
	for i := range 120 {
		// Rounds of three: an account gets coins by the one ledger and passes
		// on by the other what only that transfer gave it.
		sender, receiver := accounts[i%4], accounts[(i+1)%4]
		amount := capycoin.Coins(1)
		if sender == seed {
			amount = 7
		} else {
			amount = funds[sender]
		}
		receipt := e.pay(p.leds[i%2], sender, receiver, amount, fmt.Sprintf("turn-%d", i))
		funds[sender] -= amount
		funds[receiver] += amount
		if receipt.Replayed || receipt.SenderFunds != funds[sender] {
			e.Fatalf("turn %d: got the receipt %+v, want sender's funds %d", i, receipt, funds[sender])
		}
		if n := len(receipts); n > 0 && (receipt.Position <= receipts[n-1].Position ||
			receipt.Timestamp.Before(receipts[n-1].Timestamp)) {
			e.Fatalf("turn %d: got the receipt %+v after %+v", i, receipt, receipts[n-1])
		}
		receipts = append(receipts, receipt)
	}
	p.settle(receipts)
	p.open()
	p.wantTransactions(len(receipts))
	for _, led := range p.leds {
		for id, want := range funds {
			if got, err := led.Account(ctx, id); err != nil || got.Funds != want {
				e.Errorf("account %v: got %+v, error %v; want funds %d", id, got, err, want)
			}
		}
		e.mustClose(led)
	}
}

// checkTwoConcurrently lets several callers of each ledger transfer at once,
// and replays all receipts in order of position.
func checkTwoConcurrently(e *env) {
	p := e.pair()
	p.open()
	const callers, each, start = 4, 25, 50
	ids := e.openAccounts(p.leds[0], 4)
	seed := capycoin.DefaultSeedAccount()
	var receipts []capycoin.Receipt
	for _, id := range ids {
		receipts = append(receipts, e.pay(p.leds[0], seed, id, start, ""))
	}
	e.openAccounts(p.leds[1], 1)
	var mu sync.Mutex // guards receipts
	var calling sync.WaitGroup
	for i, led := range p.leds {
		for caller := range callers {
			calling.Go(func() {
				for n := range each {
					t := capycoin.Transfer{
						Sender: ids[(caller+n)%4], Receiver: ids[(caller+n+1+i)%4], Amount: capycoin.Coins(1 + (n+i)%20),
						Key: fmt.Sprintf("%d/%d/%d", i, caller, n),
					}
					receipt, err := led.Transfer(ctx, t)
					if errors.Is(err, capycoin.ErrInsufficientFunds) {
						continue
					}
					if err != nil {
						e.Errorf("ledger %d, caller %d: got error %v, want none", i, caller, err)
						return
					}
					mu.Lock()
					receipts = append(receipts, receipt)
					mu.Unlock()
				}
			})
		}
	}
	calling.Wait()
	e.wantInOrder(receipts)
	p.settle(receipts)
	p.open()
	p.wantTransactions(len(receipts))
	for _, led := range p.leds {
		e.mustClose(led)
	}
}

// wantInOrder replays receipts in order of position: each must say what that
// order leaves its sender with, and nobody may spend what it did not have.
func (e *env) wantInOrder(receipts []capycoin.Receipt) {
	e.Helper()
	slices.SortFunc(receipts, func(a, b capycoin.Receipt) int {
		return int(int64(a.Position) - int64(b.Position))
	})
	funds := map[uuid.UUID]capycoin.Coins{capycoin.DefaultSeedAccount(): testSupply}
	for i, r := range receipts {
		if i > 0 && r.Position == receipts[i-1].Position {
			e.Fatalf("two receipts of one position: %+v and %+v", receipts[i-1], r)
		}
		funds[r.Sender] -= r.Amount + r.Fee
		funds[r.Receiver] += r.Amount
		if got := funds[r.Sender]; got != r.SenderFunds || got < 0 {
			e.Fatalf("in order of position the sender of %+v is left with %d", r, got)
		}
	}
}

// checkTwoKeys makes every transfer through both ledgers, under one key, one
// after the other and at once. It is made once.
func checkTwoKeys(e *env) {
	p := e.pair()
	p.open()
	id := e.openAccounts(p.leds[0], 1)[0]
	e.openAccounts(p.leds[1], 1)
	seed := capycoin.DefaultSeedAccount()
	var receipts []capycoin.Receipt
	const keys = 40
	for n := range keys {
		t := capycoin.Transfer{Sender: seed, Receiver: id, Amount: 3, Key: fmt.Sprintf("key-%d", n)}
		var got [2]capycoin.Receipt
		var errs [2]error
		var calling sync.WaitGroup
		for _, i := range []int{n % 2, 1 - n%2} {
			calling.Go(func() { got[i], errs[i] = p.leds[i].Transfer(ctx, t) })
			if n < keys/2 {
				calling.Wait()
			}
		}
		calling.Wait()
		if err := errors.Join(errs[0], errs[1]); err != nil {
			e.Fatalf("key %d: got error %v, want none", n, err)
		}
		if got[0].Replayed == got[1].Replayed {
			e.Fatalf("key %d: got the receipts %+v and %+v, want one that is replayed and one that is not", n, got[0], got[1])
		}
		got[0].Replayed, got[1].Replayed = false, false
		if got[0] != got[1] {
			e.Fatalf("key %d: got two receipts, %+v and %+v, want one", n, got[0], got[1])
		}
		receipts = append(receipts, got[0])
		// Another transfer under the key, through the ledger that was first.
		t.Amount++
		if _, err := p.leds[n%2].Transfer(ctx, t); !errors.Is(err, capycoin.ErrKeyReused) {
			e.Fatalf("key %d with another amount: got error %v, want %v", n, err, capycoin.ErrKeyReused)
		}
	}
	p.settle(receipts)
	p.open()
	p.wantTransactions(keys)
	for _, led := range p.leds {
		e.mustClose(led)
	}
}
