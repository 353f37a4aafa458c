package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

// ledgerChecks are the checks of one Ledger on a store.
func ledgerChecks() []check {
	return []check{
		{"Ledger/Transfers", needNothing, checkTransfers},
		{"Ledger/Reopen", needNothing, checkReopenLedger},
		{"Ledger/ReopenStore", needReopen, checkReopenStore},
		{"Ledger/LostFolds", needNothing, checkLostFolds},
		{"Ledger/OldFolds", needNothing, checkOldFolds},
		{"Ledger/LargeBatches", needNothing, checkLargeBatches},
	}
}

// testSupply is the supply of the suite's ledgers.
const testSupply capycoin.Coins = 1_000_000

// ledger opens a ledger.
func (e *env) ledger(log capycoin.Log, folds capycoin.Folds) *capycoin.Ledger {
	e.Helper()
	led, err := capycoin.OpenStore(ctx, log, folds, &capycoin.Options{Supply: testSupply})
	if err != nil {
		e.Fatalf("OpenStore: got error %v, want none", err)
	}
	return led
}

// mustClose closes a ledger that has not stopped.
func (e *env) mustClose(led *capycoin.Ledger) {
	e.Helper()
	if err := led.Err(); err != nil {
		e.Errorf("Ledger.Err before Close: got %v, want none", err)
	}
	if err := led.Close(); err != nil {
		e.Errorf("Ledger.Close: got error %v, want none", err)
	}
}

// audit expects clean books.
func (e *env) audit(led *capycoin.Ledger) {
	e.Helper()
	report, err := led.Audit(ctx, nil)
	if err != nil {
		e.Fatalf("Audit: got error %v, want none", err)
	}
	if err := report.Err(); err != nil {
		e.Fatalf("the audit found: %v", err)
	}
	if report.Supply != testSupply {
		e.Fatalf("the audit counted %d coins, want %d", report.Supply, testSupply)
	}
}

// openAccounts opens n accounts.
func (e *env) openAccounts(led *capycoin.Ledger, n int) []uuid.UUID {
	e.Helper()
	ids := make([]uuid.UUID, n)
	for i := range ids {
		account, err := led.OpenAccount(ctx)
		if err != nil {
			e.Fatalf("OpenAccount: got error %v, want none", err)
		}
		ids[i] = account.ID
	}
	return ids
}

// pay makes a transfer that must succeed.
func (e *env) pay(led *capycoin.Ledger, sender, receiver uuid.UUID, amount capycoin.Coins, key string) capycoin.Receipt {
	e.Helper()
	receipt, err := led.Transfer(ctx, capycoin.Transfer{Sender: sender, Receiver: receiver, Amount: amount, Key: key})
	if err != nil {
		e.Fatalf("Transfer of %d under key %q: got error %v, want none", amount, key, err)
	}
	return receipt
}

// books are all that a ledger tells about its accounts and transactions, a
// line for each.
func (e *env) books(led *capycoin.Ledger) []string {
	e.Helper()
	supply, err := led.Supply(ctx)
	if err != nil {
		e.Fatalf("Supply: got error %v, want none", err)
	}
	lines := []string{fmt.Sprintf("%+v", supply)}
	var sum capycoin.Coins
	for account, err := range led.Accounts(ctx) {
		if err != nil {
			e.Fatalf("Accounts: got error %v, want none", err)
		}
		sum += account.Funds
		lines = append(lines, fmt.Sprintf("%+v", account))
		for tx, err := range led.Transactions(ctx, account.ID, capycoin.Range{}) {
			if err != nil {
				e.Fatalf("Transactions: got error %v, want none", err)
			}
			lines = append(lines, fmt.Sprintf("%+v", tx))
		}
	}
	if sum != testSupply {
		e.Fatalf("all accounts together have %d coins, want %d", sum, testSupply)
	}
	return lines
}

// wantBooks compares books line by line.
func (e *env) wantBooks(when string, led *capycoin.Ledger, want []string) {
	e.Helper()
	if got := e.books(led); !slices.Equal(got, want) {
		e.Fatalf("%s: the books differ: %s", when, firstDifference(got, want))
	}
}

// worker makes random transfers among some accounts and remembers the
// receipts.
type worker struct {
	e        *env
	r        *rand.Rand
	accounts []uuid.UUID // the first is the seed account
	receipts []capycoin.Receipt
	keys     []capycoin.Transfer // those made with a key
	n        int
}

// newWorker opens accounts and gives each some coins.
func (e *env) newWorker(led *capycoin.Ledger, accounts int) *worker {
	e.Helper()
	w := &worker{e: e, r: rand.New(rand.NewPCG(6, 7)), accounts: []uuid.UUID{capycoin.DefaultSeedAccount()}}
	w.accounts = append(w.accounts, e.openAccounts(led, accounts)...)
	for _, id := range w.accounts[1:] {
		w.receipts = append(w.receipts, e.pay(led, w.accounts[0], id, 10_000, ""))
	}
	return w
}

// next makes up a transfer of few coins, every other one with a key.
func (w *worker) next() capycoin.Transfer {
	w.n++
	i := w.r.IntN(len(w.accounts))
	j := (i + 1 + w.r.IntN(len(w.accounts)-1)) % len(w.accounts)
	t := capycoin.Transfer{Sender: w.accounts[i], Receiver: w.accounts[j], Amount: capycoin.Coins(1 + w.r.IntN(5))}
	if w.n%2 == 0 {
		t.Key = fmt.Sprintf("key-%d", w.n)
	}
	return t
}

// work makes n transfers, some in batches.
func (w *worker) work(led *capycoin.Ledger, n int) {
	w.e.Helper()
	for n > 0 {
		size := min(n, []int{1, 1, 1, 2, 20}[w.r.IntN(5)])
		n -= size
		ts := make([]capycoin.Transfer, size)
		for i := range ts {
			ts[i] = w.next()
		}
		mode := capycoin.BatchMode(w.r.IntN(2))
		results, err := led.TransferBatch(ctx, ts, mode)
		if err != nil {
			w.e.Fatalf("TransferBatch of %d, mode %d: got error %v, want none", size, mode, err)
		}
		for i, result := range results {
			if result.Err != nil {
				w.e.Fatalf("transfer %d of a batch: got error %v, want none", i, result.Err)
			}
			w.receipts = append(w.receipts, result.Receipt)
			if ts[i].Key != "" {
				w.keys = append(w.keys, ts[i])
			}
		}
	}
}

// wantReceipts looks up what the receipts say, and replays every key.
func (w *worker) wantReceipts(led *capycoin.Ledger) {
	w.e.Helper()
	w.e.wantReceipts(led, w.receipts)
	byKey := make(map[uint64]string, len(w.keys))
	for _, t := range w.keys {
		receipt, err := led.Transfer(ctx, t)
		if err != nil || !receipt.Replayed {
			w.e.Fatalf("repeating the transfer under %q: got %+v, error %v; want a replay", t.Key, receipt, err)
		}
		byKey[receipt.Position] = t.Key
	}
	found := 0
	for _, receipt := range w.receipts {
		if byKey[receipt.Position] != "" {
			found++
		}
	}
	if found != len(w.keys) {
		w.e.Fatalf("%d keys replay %d of the receipts there are", len(w.keys), found)
	}
}

// wantReceipts compares receipts with what the ledger tells of the
// transactions they name.
func (e *env) wantReceipts(led *capycoin.Ledger, receipts []capycoin.Receipt) {
	e.Helper()
	for _, receipt := range receipts {
		tx, err := led.TransactionByID(ctx, receipt.TransactionID)
		if err != nil {
			e.Fatalf("the transaction of the receipt %+v: got error %v, want none", receipt, err)
		}
		got := capycoin.Receipt{
			TransactionID: tx.ID, Position: tx.Position, Timestamp: tx.Timestamp, Sender: tx.Sender, Receiver: tx.Receiver,
			Amount: tx.Amount, Fee: tx.Fee, SenderFunds: tx.FundsAfter, Replayed: receipt.Replayed,
		}
		if got != receipt {
			e.Fatalf("the transaction of a receipt: got %+v, want %+v", got, receipt)
		}
	}
}

func checkTransfers(e *env) {
	s := e.store()
	led := e.ledger(s.Log, s.Folds)
	e.wantTail(s.Log, 1)
	seed := capycoin.DefaultSeedAccount()
	ids := e.openAccounts(led, 2)
	e.pay(led, seed, ids[0], 100, "grant")
	e.pay(led, ids[0], ids[1], 30, "")
	if got := e.pay(led, seed, ids[0], 100, "grant"); !got.Replayed {
		e.Errorf("the same transfer under the same key: got %+v, want a replay", got)
	}
	_, err := led.Transfer(ctx, capycoin.Transfer{Sender: ids[0], Receiver: ids[1], Amount: 71})
	var insufficient *capycoin.InsufficientFundsError
	if !errors.As(err, &insufficient) || insufficient.Funds != 70 {
		e.Errorf("a transfer of 71 coins: got error %v, want that there are 70", err)
	}
	for id, want := range map[uuid.UUID]capycoin.Coins{seed: testSupply - 100, ids[0]: 70, ids[1]: 30} {
		if got, err := led.Account(ctx, id); err != nil || got.Funds != want {
			e.Errorf("the account %v: got %+v, error %v; want funds %d", id, got, err, want)
		}
	}
	e.wantTail(s.Log, 5)
	e.audit(led)
	e.mustClose(led)
	e.wantTail(s.Log, 5)
}

func checkReopenLedger(e *env) {
	s := e.store()
	led := e.ledger(s.Log, s.Folds)
	w := e.newWorker(led, 10)
	for range 4 {
		w.work(led, 150)
		want := e.books(led)
		e.mustClose(led)
		led = e.ledger(s.Log, s.Folds)
		e.wantBooks("after Close and OpenStore on the same handles", led, want)
		w.wantReceipts(led)
		e.audit(led)
	}
	e.mustClose(led)
}

// checkReopenStore ends the process, as it were, under a ledger that is not
// closed, and under one that is.
func checkReopenStore(e *env) {
	s := e.store()
	led := e.ledger(s.Log, s.Folds)
	w := e.newWorker(led, 10)
	for round := range 4 {
		w.work(led, 150)
		want := e.books(led)
		if round%2 == 0 {
			e.mustClose(led)
			s.reopen()
		} else {
			s.reopen()
			// The store is gone from under this ledger. It may complain.
			_ = led.Close()
		}
		led = e.ledger(s.Log, s.Folds)
		e.wantBooks("after reopening the store", led, want)
		w.wantReceipts(led)
		e.audit(led)
	}
	e.mustClose(led)
}

// issueToken opens an account with a token that costs little.
func (e *env) issueToken(led *capycoin.Ledger) capycoin.IssuedToken {
	e.Helper()
	_, token, err := e.issuer(led).OpenAccount(ctx)
	if err != nil {
		e.Fatalf("TokenIssuer.OpenAccount: got error %v, want none", err)
	}
	return token
}

func (e *env) issuer(led *capycoin.Ledger) *capycoin.TokenIssuer {
	e.Helper()
	issuer, err := capycoin.NewTokenIssuer(led, &capycoin.TokenOptions{BcryptCost: 4})
	if err != nil {
		e.Fatalf("NewTokenIssuer: got error %v, want none", err)
	}
	return issuer
}

// wantToken verifies a token.
func (e *env) wantToken(led *capycoin.Ledger, want capycoin.IssuedToken) {
	e.Helper()
	got, err := e.issuer(led).Verify(ctx, want.Secret)
	if err != nil || got.ID != want.ID || got.Account != want.Account {
		e.Errorf("Verify: got %+v, error %v; want the token %v of the account %v", got, err, want.ID, want.Account)
	}
}

// checkLostFolds opens a ledger on its log and on empty folds: all of it is
// made again from the journal.
func checkLostFolds(e *env) {
	s := e.store()
	led := e.ledger(s.Log, s.Folds)
	token := e.issueToken(led)
	w := e.newWorker(led, 10)
	w.work(led, 400)
	want := e.books(led)
	e.mustClose(led)

	folds := NewFolds()
	for range 2 { // The second time with the folds made the first time.
		led = e.ledger(s.Log, folds)
		e.wantBooks("with folds made again", led, want)
		e.wantToken(led, token)
		w.wantReceipts(led)
		e.audit(led)
		e.mustClose(led)
	}
	if state := e.rows(folds, capycoin.TableAccounts); state == 0 {
		e.Errorf("a closed ledger left no rows in its folds")
	}
}

// rows counts the rows of a table.
func (e *env) rows(folds capycoin.Folds, table capycoin.Table) (n int) {
	e.Helper()
	if err := folds.Scan(ctx, table, nil, func(_, _ []byte) bool { n++; return true }); err != nil {
		e.Fatalf("Scan: got error %v, want none", err)
	}
	return n
}

// checkOldFolds opens a ledger on the store's folds of an earlier time: a
// second ledger has gone on with the same log and other folds.
func checkOldFolds(e *env) {
	s := e.store()
	led := e.ledger(s.Log, s.Folds)
	w := e.newWorker(led, 10)
	w.work(led, 200)
	e.mustClose(led)

	led = e.ledger(s.Log, NewFolds())
	token := e.issueToken(led)
	w.accounts = append(w.accounts, e.openAccounts(led, 3)...)
	e.pay(led, w.accounts[0], w.accounts[len(w.accounts)-1], 5, "late")
	for _, id := range w.accounts[len(w.accounts)-3:] {
		e.pay(led, w.accounts[0], id, 10_000, "")
	}
	w.work(led, 300)
	want := e.books(led)
	e.mustClose(led)

	led = e.ledger(s.Log, s.Folds)
	e.wantBooks("with folds of an earlier time", led, want)
	e.wantToken(led, token)
	w.wantReceipts(led)
	e.audit(led)
	e.mustClose(led)
}

// checkLargeBatches makes batches as large as there can be. An atomic one may
// be too large for the store, and then changes nothing.
func checkLargeBatches(e *env) {
	s := e.store()
	led := e.ledger(s.Log, s.Folds)
	w := e.newWorker(led, 4)
	for _, mode := range []capycoin.BatchMode{capycoin.EachAlone, capycoin.Atomic} {
		ts := make([]capycoin.Transfer, capycoin.MaxBatch)
		for i := range ts {
			ts[i] = capycoin.Transfer{Sender: w.accounts[i%4], Receiver: w.accounts[i%4+1], Amount: 1}
		}
		before := e.books(led)
		results, err := led.TransferBatch(ctx, ts, mode)
		if mode == capycoin.Atomic && errors.Is(err, capycoin.ErrBatchTooLarge) {
			e.wantBooks("after a batch that was too large", led, before)
			continue
		}
		if err != nil || len(results) != len(ts) {
			e.Fatalf("a batch of %d, mode %d: got %d results, error %v", len(ts), mode, len(results), err)
		}
		for i, result := range results {
			if result.Err != nil {
				e.Fatalf("transfer %d of a batch, mode %d: got error %v, want none", i, mode, result.Err)
			}
			w.receipts = append(w.receipts, result.Receipt)
		}
	}
	want := e.books(led)
	e.mustClose(led)
	led = e.ledger(s.Log, s.Folds)
	e.wantBooks("after reopening", led, want)
	e.wantReceipts(led, w.receipts)
	e.audit(led)
	e.mustClose(led)
}
