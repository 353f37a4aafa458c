package storetest

import (
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

// faultChecks fail operation 1, 2, 3, … of a store under a ledger at work, in
// each way that there is.
func faultChecks() []check {
	var all []check
	for _, c := range []struct {
		op     Op
		faults []Fault
	}{
		{OpAppend, []Fault{NotDone, YetDone, NotWritten, Fenced}},
		{OpPut, []Fault{NotDone, YetDone}},
		{OpFlush, []Fault{NotDone, YetDone}},
		{OpTail, []Fault{NotDone}},
		{OpView, []Fault{NotDone, YetDone}},
		{OpRead, []Fault{NotDone}},
		{OpGet, []Fault{NotDone}},
		{OpScan, []Fault{NotDone, YetDone}},
	} {
		for _, fault := range c.faults {
			all = append(all, check{fmt.Sprintf("Faults/%v/%v", c.op, fault), needNothing, func(e *env) {
				for n := 1; runWithFault(e, c.op, n, fault); n++ {
					if e.short && n == 4 {
						break
					}
					if n >= 30 {
						n += 10 // Reads of a long listing are much alike.
					}
				}
			}})
		}
	}
	return all
}

// outcome is what is known of a transfer, or of an account's opening.
type outcome int

const (
	declined outcome = iota // certainly not made
	unknown
	made
)

// attempt is a transfer that was asked for.
type attempt struct {
	capycoin.Transfer
	outcome outcome
	receipt capycoin.Receipt // if made
	batch   int              // the number of its atomic batch; 0: none
}

// faultRun is a ledger at work on a store that fails once.
type faultRun struct {
	e     *env
	s     *openStore
	f     *Faulty
	op    Op
	n     int
	fault Fault

	led      *capycoin.Ledger
	accounts []uuid.UUID
	opened   outcome             // of the last account asked for
	lost     int                 // accounts whose opening has an unknown outcome
	attempts map[string]*attempt // by key
	order    []string            // the keys in the order of asking
	stopped  bool                // the open ledger has said that it stopped
	unknowns int                 // how many calls had an unknown outcome
	refused  int                 // how many calls were not written
	failed   int                 // how many calls failed at all
	appends  int                 // appends there were when the ledger stopped
	batches  int
}

// runWithFault works with a ledger while the n-th operation of a kind fails,
// reopens it and looks what is there. It returns false when there was no such
// operation.
func runWithFault(e *env, op Op, n int, fault Fault) bool {
	e.Helper()
	s := e.store()
	defer s.close()
	run := &faultRun{
		e: e, s: s, f: NewFaulty(s.Log, s.Folds), op: op, n: n, fault: fault,
		attempts: make(map[string]*attempt),
	}
	run.f.Fail(op, n, fault)
	if run.open() {
		run.workAtFirst()
		run.close()
	}
	if run.open() {
		run.workAgain()
		run.close()
	}
	run.wantDocumented()
	fired := run.f.Fired() > 0
	run.f.Heal()
	run.compare()
	return fired
}

// fatalf names the fault that the run is about.
func (run *faultRun) fatalf(format string, args ...any) {
	run.e.Helper()
	run.e.Fatalf("with %v %d failing as %v: %s", run.op, run.n, run.fault, fmt.Sprintf(format, args...))
}

// open opens the ledger. When that fails for the fault, it is tried once more.
func (run *faultRun) open() bool {
	run.e.Helper()
	for range 2 {
		if run.s.Reopen != nil {
			run.s.reopen()
			run.f.Replace(run.s.Log, run.s.Folds)
		}
		led, err := capycoin.OpenStore(ctx, run.f, run.f, &capycoin.Options{Supply: testSupply})
		if err == nil {
			run.led, run.stopped = led, false
			return true
		}
		if !errors.Is(err, ErrInjected) {
			run.fatalf("OpenStore: got error %v, want none or one that wraps the injected one", err)
		}
	}
	run.fatalf("OpenStore failed a second time")
	return false
}

// close closes the ledger. That may fail only for the fault.
func (run *faultRun) close() {
	run.e.Helper()
	if err := run.led.Close(); err != nil && !errors.Is(err, ErrInjected) && !run.stopped {
		run.fatalf("Close: got error %v, want none or one that wraps the injected one", err)
	}
	run.wantNoAppend("Close")
	if _, err := run.led.OpenAccount(ctx); !errors.Is(err, capycoin.ErrClosed) && !errors.Is(err, capycoin.ErrStopped) {
		run.fatalf("OpenAccount after Close: got error %v, want %v", err, capycoin.ErrClosed)
	}
}

// wantNoAppend expects that a ledger that stopped appends no more.
func (run *faultRun) wantNoAppend(call string) {
	run.e.Helper()
	if got := run.f.Count(OpAppend); run.stopped && got != run.appends {
		run.fatalf("%s of a ledger that had stopped made %d appends, want none", call, got-run.appends)
	}
}

// judge looks at the error of a call that changes the books.
func (run *faultRun) judge(call string, err error) outcome {
	run.e.Helper()
	if err == nil {
		if run.stopped {
			run.fatalf("%s of a ledger that had stopped: got no error, want %v", call, capycoin.ErrStopped)
		}
		return made
	}
	run.failed++
	run.wantNoAppend(call)
	if run.stopped && !errors.Is(err, capycoin.ErrStopped) {
		run.fatalf("%s of a ledger that had stopped: got error %v, want %v", call, err, capycoin.ErrStopped)
	}
	if !errors.Is(err, ErrInjected) {
		run.fatalf("%s: got error %v, want none or one that wraps the injected one", call, err)
	}
	result := declined
	switch {
	case errors.Is(err, capycoin.ErrOutcomeUnknown):
		run.unknowns++
		result = unknown
		run.wantStopped(call)
	case errors.Is(err, capycoin.ErrNotWritten):
		run.refused++
		if stopped := run.led.Err(); stopped != nil {
			run.fatalf("%s was not written, and the ledger says %v, want that it goes on", call, stopped)
		}
	case errors.Is(err, capycoin.ErrStopped):
		run.wantStopped(call)
	}
	return result
}

// wantStopped expects that the ledger says it has stopped, and why.
func (run *faultRun) wantStopped(call string) {
	run.e.Helper()
	if !run.stopped {
		run.stopped = true
		run.appends = run.f.Count(OpAppend)
	}
	if err := run.led.Err(); !errors.Is(err, capycoin.ErrStopped) || !errors.Is(err, ErrInjected) {
		run.fatalf("after %s: Ledger.Err: got %v, want %v that wraps its cause", call, err, capycoin.ErrStopped)
	}
	select {
	case <-run.led.Stopped():
	default:
		run.fatalf("after %s: Ledger.Stopped is not closed", call)
	}
}

// openAccount opens an account, trying again when that was declined.
func (run *faultRun) openAccount() {
	run.e.Helper()
	for range 2 {
		account, err := run.led.OpenAccount(ctx)
		run.opened = run.judge("OpenAccount", err)
		switch run.opened {
		case made:
			run.accounts = append(run.accounts, account.ID)
			return
		case unknown:
			run.lost++
			return
		}
	}
}

// ask notes an attempt.
func (run *faultRun) ask(sender, receiver uuid.UUID, amount capycoin.Coins, batch int) capycoin.Transfer {
	key := fmt.Sprintf("attempt-%d", len(run.order)+1)
	t := capycoin.Transfer{Sender: sender, Receiver: receiver, Amount: amount, Key: key}
	run.attempts[key] = &attempt{Transfer: t, batch: batch}
	run.order = append(run.order, key)
	return t
}

// transfer makes a new transfer.
func (run *faultRun) transfer(sender, receiver uuid.UUID, amount capycoin.Coins) {
	run.e.Helper()
	run.repeat(run.attempts[run.ask(sender, receiver, amount, 0).Key])
}

// repeat makes a transfer under its key, and once more when that was declined:
// later transfers spend what this one brings.
func (run *faultRun) repeat(a *attempt) {
	run.e.Helper()
	run.repeatOnce(a)
	if a.outcome == declined {
		run.repeatOnce(a)
	}
}

func (run *faultRun) repeatOnce(a *attempt) {
	run.e.Helper()
	receipt, err := run.led.Transfer(ctx, a.Transfer)
	if err != nil && a.outcome != declined {
		run.judge("Transfer", err) // It does not undo what an earlier one did.
		return
	}
	switch got := run.judge("Transfer", err); {
	case got != made:
		a.outcome = got
	case a.outcome == made:
		a.receipt.Replayed = true
		if receipt != a.receipt {
			run.fatalf("repeating the transfer %q: got the receipt %+v, want %+v", a.Key, receipt, a.receipt)
		}
	case a.outcome == declined && receipt.Replayed:
		run.fatalf("the transfer %q, declined so far, got the receipt of a replay: %+v", a.Key, receipt)
	default:
		a.outcome, a.receipt = made, receipt
	}
}

// batch makes several transfers at once. The last one of a batch that is not
// atomic has not enough funds.
func (run *faultRun) batch(mode capycoin.BatchMode) {
	run.e.Helper()
	run.batches++
	number := 0
	if mode == capycoin.Atomic {
		number = run.batches
	}
	a, b := run.accounts[0], run.accounts[1]
	ts := []capycoin.Transfer{run.ask(a, b, 3, number), run.ask(b, a, 2, number), run.ask(a, b, 1, number)}
	asked := ts
	if mode == capycoin.EachAlone {
		ts = append(ts[:3:3], capycoin.Transfer{Sender: a, Receiver: b, Amount: testSupply, Key: "too-much"})
	}
	results, err := run.led.TransferBatch(ctx, ts, mode)
	got := run.judge("TransferBatch", err)
	if got == made && len(results) != len(ts) {
		run.fatalf("a batch of %d: got %d results", len(ts), len(results))
	}
	for i, t := range asked {
		attempt := run.attempts[t.Key]
		attempt.outcome = got
		if got != made {
			continue
		}
		if attempt.outcome = run.judge("a transfer of a batch", results[i].Err); attempt.outcome == made {
			attempt.receipt = results[i].Receipt
		}
	}
	if got == made && mode == capycoin.EachAlone {
		err := results[3].Err
		if !errors.Is(err, capycoin.ErrInsufficientFunds) && !errors.Is(err, ErrInjected) {
			run.fatalf("a transfer of all coins: got error %v, want %v", err, capycoin.ErrInsufficientFunds)
		}
	}
}

// read calls what reads. Each may fail, but only for the fault.
func (run *faultRun) read() {
	run.e.Helper()
	_, err := run.led.Supply(ctx)
	run.wantRead("Supply", err)
	_, err = run.led.Account(ctx, run.accounts[0])
	run.wantRead("Account", err)
	_, err = run.led.TransactionPage(ctx, run.accounts[0], capycoin.Range{Order: capycoin.NewestFirst})
	run.wantRead("TransactionPage", err)
	for _, err := range run.led.Accounts(ctx) {
		run.wantRead("Accounts", err)
	}
}

// wantRead looks at the error of a call that reads.
func (run *faultRun) wantRead(call string, err error) {
	run.e.Helper()
	if err != nil && !errors.Is(err, ErrInjected) {
		run.fatalf("%s: got error %v, want none or one that wraps the injected one", call, err)
	}
}

// workAtFirst works with a new ledger.
func (run *faultRun) workAtFirst() {
	run.e.Helper()
	run.openAccount()
	run.openAccount()
	if len(run.accounts) < 2 {
		return
	}
	seed := capycoin.DefaultSeedAccount()
	run.transfer(seed, run.accounts[0], 1000)
	run.transfer(seed, run.accounts[1], 1000)
	run.batch(capycoin.Atomic)
	run.repeat(run.attempts[run.order[0]])
	run.batch(capycoin.EachAlone)
	run.read()
	run.transfer(run.accounts[0], run.accounts[1], 5)
}

// workAgain repeats everything that was asked for before the ledger was
// reopened, as a client would that has got no answer.
func (run *faultRun) workAgain() {
	run.e.Helper()
	for len(run.accounts) < 2 {
		run.openAccount()
		if run.opened != made {
			return
		}
	}
	seed := capycoin.DefaultSeedAccount()
	if len(run.order) == 0 {
		run.transfer(seed, run.accounts[0], 1000)
		run.transfer(seed, run.accounts[1], 1000)
	}
	run.wantBatchesWhole()
	for _, key := range run.order {
		run.repeat(run.attempts[key])
	}
	run.transfer(run.accounts[1], seed, 4)
	run.read()
}

// wantBatchesWhole looks, right after an unknown outcome, whether an atomic
// batch is there wholly or not at all. A fault in here is no matter.
func (run *faultRun) wantBatchesWhole() {
	run.e.Helper()
	there := make(map[string]bool)
	for tx, err := range run.led.Transactions(ctx, run.accounts[0], capycoin.Range{}) {
		if err != nil {
			return
		}
		there[tx.Key] = true
	}
	whole := make(map[int]bool)
	for _, key := range run.order {
		a := run.attempts[key]
		if a.batch == 0 {
			continue
		}
		if first, seen := whole[a.batch]; seen && first != there[key] {
			run.fatalf("after reopening, a part of an atomic batch is there")
		}
		whole[a.batch] = there[key]
	}
}

// wantDocumented compares the outcome of a failing Append with what the
// contract of Log says.
func (run *faultRun) wantDocumented() {
	run.e.Helper()
	if run.op != OpAppend || run.f.Fired() == 0 || run.n == 1 {
		return // Append 1 is the genesis, made by OpenStore.
	}
	want := map[Fault]struct{ unknowns, refused int }{
		NotDone: {1, 0}, YetDone: {1, 0}, NotWritten: {0, 1}, Fenced: {0, 0},
	}[run.fault]
	if run.unknowns != want.unknowns || run.refused != want.refused {
		run.fatalf("%d calls had an unknown outcome and %d were not written, want %d and %d",
			run.unknowns, run.refused, want.unknowns, want.refused)
	}
	if run.fault == Fenced && run.failed > 0 {
		run.fatalf("%d calls failed, want none: a fence is the ledger's own matter", run.failed)
	}
}

// compare reopens the ledger without faults and compares its books with what
// was told about each transfer.
func (run *faultRun) compare() {
	run.e.Helper()
	if run.s.Reopen != nil {
		run.s.reopen()
	}
	led := run.e.ledger(run.s.Log, run.s.Folds)
	run.e.audit(led)
	found := make(map[string]capycoin.Transaction)
	for tx, err := range led.Transactions(ctx, capycoin.DefaultSeedAccount(), capycoin.Range{}) {
		run.note(found, tx, err)
	}
	for _, id := range run.accounts {
		for tx, err := range led.Transactions(ctx, id, capycoin.Range{}) {
			run.note(found, tx, err)
		}
	}
	transactions := 0
	for _, key := range run.order {
		a := run.attempts[key]
		tx, there := found[key]
		if there {
			transactions++
		}
		switch {
		case a.outcome == made && (!there || tx.Position != a.receipt.Position || tx.ID != a.receipt.TransactionID):
			run.fatalf("the receipt %+v was given, the books have %+v", a.receipt, tx)
		case a.outcome == declined && there:
			run.fatalf("the transfer %q was declined, the books have %+v", key, tx)
		}
	}
	supply, err := led.Supply(ctx)
	if err != nil {
		run.fatalf("Supply: got error %v, want none", err)
	}
	if supply.Transactions != int64(transactions) {
		run.fatalf("the books have %d transactions, %d were asked for and found", supply.Transactions, transactions)
	}
	if least := int64(1 + len(run.accounts)); supply.Accounts < least || supply.Accounts > least+int64(run.lost) {
		run.fatalf("the books have %d accounts, want %d and at most %d more", supply.Accounts, least, run.lost)
	}
	run.e.mustClose(led)
}

// note keeps a transaction, and expects the same one wherever it is listed.
func (run *faultRun) note(found map[string]capycoin.Transaction, tx capycoin.Transaction, err error) {
	run.e.Helper()
	if err != nil {
		run.fatalf("Transactions: got error %v, want none", err)
	}
	if earlier, there := found[tx.Key]; there && earlier.Position != tx.Position {
		run.fatalf("two transactions under one key: %+v and %+v", earlier, tx)
	}
	if run.attempts[tx.Key] == nil {
		run.fatalf("nobody asked for %+v", tx)
	}
	found[tx.Key] = tx
}
