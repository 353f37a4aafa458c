package capycoin_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/harness"
	"github.com/capycoin/capycoin/storetest"
)

// TestHarnessModel does random things to a ledger in a file and to one in memory
// and compares every answer with the model's. In half of the runs the clock
// steps before each of them, by up to days, to and fro. A failing run prints how
// to repeat it.
func TestHarnessModel(t *testing.T) {
	runs, steps := 0, 0
	check := func(t *rapid.T) {
		m := newMachine(t)
		actions := map[string]func(*rapid.T){
			"open accounts":       m.openAccounts,
			"transfer":            m.transfers,
			"transfer more":       m.transfers,
			"batch":               m.batch,
			"another batch":       m.batch,
			"large batch":         m.largeBatch,
			"batch of a bad size": m.badBatch,
			"step the clock":      m.stepClock,
			"cancelled":           m.cancelled,
			"reopen":              m.reopen,
			"accounts":            m.compareAccounts,
			"pages":               m.pages,
			"go on":               m.goOn,
			"wrong pages":         m.wrongPages,
			"transactions":        m.compareTransactions,
			"funds at":            m.fundsAt,
			"tokens":              m.useTokens,
			"invites":             m.useInvites,
			"keyed account":       m.openKeyed,
			"another":             m.openKeyed,
			"change a key":        m.changeKey,
			"set a fee":           m.setFee,
			"stipend":             m.stipend,
			"a day passes":        m.nextDay,
			"some days":           m.someDays,
		}
		if rapid.Bool().Draw(t, "restless clock") {
			for name, do := range actions {
				actions[name] = func(t *rapid.T) {
					m.stepClock(t)
					do(t)
					steps++
				}
			}
		}
		actions[""] = m.compareSupply
		t.Repeat(actions)
		m.finish(t)
		runs++
	}
	for end := time.Now().Add(harness.Budget(t, time.Millisecond)); runs == 0 || time.Now().Before(end); {
		rapid.Check(t, check)
	}
	harness.Count(t, "random lives of a ledger compared with the model", runs)
	harness.Count(t, "steps of the clock in them", steps)
}

// fakeClock is a clock that stands still until it is set.
type fakeClock struct{ nanos atomic.Int64 }

func (c *fakeClock) now() time.Time    { return time.Unix(0, c.nanos.Load()) }
func (c *fakeClock) set(t time.Time)   { c.nanos.Store(t.UnixNano()) }
func (c *fakeClock) micros() time.Time { return micros(c.now().UnixMicro()) }

// idSource makes ids that only depend on its seed. It can be told to return
// the last one again a few times, as if random numbers met by chance.
type idSource struct {
	r      *rand.Rand
	last   uuid.UUID
	repeat int
}

func (s *idSource) next() (uuid.UUID, error) {
	if s.repeat > 0 && s.last != uuid.Nil {
		s.repeat--
		return s.last, nil
	}
	for i := range s.last {
		s.last[i] = byte(s.r.Uint32())
	}
	s.last[6] = s.last[6]&0x0f | 0x40
	s.last[8] = s.last[8]&0x3f | 0x80
	return s.last, nil
}

// subject is a real ledger under test.
type subject struct {
	name    string
	led     *capycoin.Ledger
	issuer  *capycoin.TokenIssuer
	ids     *idSource
	secrets map[uuid.UUID]string // of tokens, by id
	codes   map[uuid.UUID]string // of invites, by id
	cursor  map[int]string       // of listings that have not ended, by number
	// reopen opens the ledger again, after it was closed, or before when the
	// folds since the last flush are to be lost.
	reopen func(opts *capycoin.Options, how int) (*capycoin.Ledger, error)
}

// machine runs the model and the subjects side by side.
type machine struct {
	*model
	clock    *fakeClock
	subjects []*subject
	listings []*listing
	cache    int
	ledgerID map[string]uuid.UUID
	unknown  uuid.UUID // no account has this id
}

// listing is a listing of transactions in pages that has not ended.
type listing struct {
	number  int
	account uuid.UUID
	r       capycoin.Range // without cursor
	after   uint64         // the position of the last one listed
}

var ctx = context.Background()

func newMachine(t *rapid.T) *machine {
	m := &machine{clock: &fakeClock{}, ledgerID: make(map[string]uuid.UUID), unknown: uuid.MustParse("11111111-1111-4111-8111-111111111111")}
	made := time.Date(2022, 8, 15, 13, 24, 23, 136_285_999, time.UTC)
	m.clock.set(made)
	m.cache = rapid.SampledFrom([]int{16, 16, 17, 0}).Draw(t, "account cache")
	supply := rapid.SampledFrom([]capycoin.Coins{100_000, 1000, 1, 0, capycoin.MaxSupply}).Draw(t, "supply")
	seed := rapid.SampledFrom([]uuid.UUID{{}, uuid.MustParse("aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa")}).Draw(t, "seed account")
	idSeed := rapid.Uint64().Draw(t, "seed of the ids")
	m.subjects = []*subject{fileSubject(t), memorySubject()}
	for _, s := range m.subjects {
		s.secrets, s.codes, s.cursor = make(map[uuid.UUID]string), make(map[uuid.UUID]string), make(map[int]string)
		s.ids = &idSource{r: rand.New(rand.NewPCG(idSeed, 0))}
		opts := m.options(s)
		opts.Supply, opts.SeedAccount = supply, seed
		m.open(t, s, opts, 0)
	}
	t.Cleanup(func() {
		for _, s := range m.subjects {
			_ = s.led.Close() // A failed run leaves it open.
		}
	})
	if supply == 0 {
		supply = capycoin.DefaultSupply
	}
	if seed == uuid.Nil {
		seed = capycoin.DefaultSeedAccount()
	}
	m.model = newModel(supply, seed, made.UnixMicro())
	return m
}

// fileSubject is a ledger in a file.
func fileSubject(t *rapid.T) *subject {
	dir, err := os.MkdirTemp("", "capycoin-model-")
	if err != nil {
		t.Fatalf("making a folder: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &subject{name: "file"}
	s.reopen = func(opts *capycoin.Options, _ int) (*capycoin.Ledger, error) {
		if s.led != nil {
			if err := s.led.Close(); err != nil {
				return nil, err
			}
		}
		return capycoin.Open(filepath.Join(dir, "coins.db"), opts)
	}
	return s
}

// memorySubject is a ledger on the memory store.
func memorySubject() *subject {
	s := &subject{name: "memory"}
	store := storetest.NewMemory()
	s.reopen = func(opts *capycoin.Options, how int) (*capycoin.Ledger, error) {
		switch how {
		case 1: // The process ends before the ledger is closed.
			store = store.Reopen()
		case 2: // The folds are lost.
			store = store.Handle()
		}
		if s.led != nil {
			if err := s.led.Close(); err != nil {
				return nil, err
			}
		}
		return capycoin.OpenStore(ctx, store, store, opts)
	}
	return s
}

func (m *machine) options(s *subject) *capycoin.Options {
	return &capycoin.Options{Clock: m.clock.now, NewID: s.ids.next, AccountCache: m.cache}
}

func (m *machine) open(t *rapid.T, s *subject, opts *capycoin.Options, how int) {
	t.Helper()
	led, err := s.reopen(opts, how)
	if err != nil {
		t.Fatalf("%s: opening: got error %v, want none", s.name, err)
	}
	s.led = led
	if s.issuer, err = capycoin.NewTokenIssuer(led, &capycoin.TokenOptions{BcryptCost: 4}); err != nil {
		t.Fatalf("%s: NewTokenIssuer: got error %v, want none", s.name, err)
	}
}

// compare compares an answer of a ledger with the model's.
func compare[T any](t *rapid.T, s *subject, what string, got T, gotErr error, want T, wantErr error) {
	t.Helper()
	if g, w := describe(gotErr), describe(wantErr); g != w {
		t.Fatalf("%s: %s: got %s (%v), want %s", s.name, what, g, gotErr, w)
	}
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		t.Fatalf("%s: %s: got\n%s\nwant\n%s", s.name, what, g, w)
	}
}

func (m *machine) compareSupply(t *rapid.T) {
	want := m.supplyNow()
	for _, s := range m.subjects {
		got, err := s.led.Supply(ctx)
		if known, ok := m.ledgerID[s.name]; ok && known != got.LedgerID {
			t.Fatalf("%s: the ledger's id was %v and is %v", s.name, known, got.LedgerID)
		}
		m.ledgerID[s.name] = got.LedgerID
		want.LedgerID = got.LedgerID
		compare(t, s, "Supply", got, err, want, nil)
		compare(t, s, "Time", s.led.Time(), nil, micros(m.now(m.clock.now())), nil)
		stats := s.led.Stats()
		if stats.Position != want.Position || stats.Accounts != want.Accounts || stats.Transactions != want.Transactions {
			t.Fatalf("%s: Stats: got %+v, want as in %+v", s.name, stats, want)
		}
		if stats.FoldPosition > stats.Position {
			t.Fatalf("%s: the folds are at %d, the journal at %d", s.name, stats.FoldPosition, stats.Position)
		}
	}
}

func (m *machine) openAccounts(t *rapid.T) {
	n := rapid.SampledFrom([]int{1, 2, 20}).Draw(t, "accounts")
	repeat := rapid.SampledFrom([]int{0, 0, 0, 1, 4}).Draw(t, "an id in use again")
	withToken := rapid.IntRange(0, 9).Draw(t, "with a token") == 0
	for range n {
		if withToken {
			m.openWithToken(t)
			withToken = false
			continue
		}
		var got []capycoin.Account
		for _, s := range m.subjects {
			s.ids.repeat = repeat
			account, err := s.led.OpenAccount(ctx)
			if err != nil || account.ID != s.ids.last {
				t.Fatalf("%s: OpenAccount: got %+v, error %v; want the id %v", s.name, account, err, s.ids.last)
			}
			got = append(got, account)
		}
		want := m.model.openAccount(got[0].ID, m.clock.now())
		for i, s := range m.subjects {
			compare(t, s, "OpenAccount", got[i], nil, want, nil)
		}
	}
}

// drawAccount draws an account: most often one of a few, so that they meet.
func (m *machine) drawAccount(t *rapid.T, label string) uuid.UUID {
	last := len(m.order) - 1
	switch n := rapid.IntRange(0, 29).Draw(t, label); {
	case n < 14:
		return m.order[n%4%(last+1)]
	case n < 28:
		return m.order[rapid.IntRange(0, last).Draw(t, label)]
	case n == 28:
		return m.unknown
	}
	return uuid.UUID{}
}

// testKeys are idempotency keys, some of them not in form.
var testKeys = []string{
	"", "", "", "", "", "k1", "k2", "k3", "k4", "k5", "k6", "K1", "!", "~",
	strings.Repeat("k", 255), strings.Repeat("k", 256), "a key", "\x7f", "\x00", `"k1"`, `k\1`, "ключ",
}

func (m *machine) drawTransfer(t *rapid.T) capycoin.Transfer {
	transfer := capycoin.Transfer{
		Sender:   m.drawAccount(t, "sender"),
		Receiver: m.drawAccount(t, "receiver"),
		Amount:   capycoin.Coins(rapid.IntRange(1, 40).Draw(t, "amount")),
		Key:      rapid.SampledFrom(testKeys).Draw(t, "key"),
		MaxFee:   drawMaxFee(t),
	}
	var funds capycoin.Coins
	if a := m.model.accounts[transfer.Sender]; a != nil {
		funds = a.funds
	}
	switch rapid.IntRange(0, 24).Draw(t, "kind of amount") {
	case 0:
		transfer.Amount = rapid.SampledFrom([]capycoin.Coins{
			0, -1, capycoin.MaxSupply, capycoin.MaxSupply + 1, 1<<63 - 1, -1 << 63}).Draw(t, "odd amount")
	case 1, 2:
		transfer.Amount = funds
	case 3:
		transfer.Amount = funds + 1
	case 4, 5:
		transfer.Amount = funds / 2
	}
	m.drawSignature(t, &transfer)
	return transfer
}

func (m *machine) transfers(t *rapid.T) {
	for range rapid.IntRange(1, 8).Draw(t, "transfers") {
		transfer := m.drawTransfer(t)
		want, wantErr := m.model.transfer(transfer, m.clock.now())
		for _, s := range m.subjects {
			got, err := s.led.Transfer(ctx, m.sign(s, transfer))
			compare(t, s, fmt.Sprintf("Transfer %+v", transfer), got, err, want, wantErr)
		}
	}
}

func (m *machine) batch(t *rapid.T) {
	transfers := make([]capycoin.Transfer, rapid.IntRange(1, 64).Draw(t, "size"))
	for i := range transfers {
		transfers[i] = m.drawTransfer(t)
	}
	m.doBatch(t, transfers, rapid.SampledFrom([]capycoin.BatchMode{capycoin.EachAlone, capycoin.Atomic}).Draw(t, "mode"))
}

// largeBatch makes a batch of valid transfers, whatever their order, so that
// atomic batches succeed and histories grow long.
func (m *machine) largeBatch(t *rapid.T) {
	r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed of the batch"), 0))
	few := min(len(m.order), rapid.SampledFrom([]int{2, 3, 40}).Draw(t, "accounts"))
	if few < 2 {
		return
	}
	funds := make([]capycoin.Coins, few)
	for i := range funds {
		funds[i] = m.model.accounts[m.order[i]].funds
	}
	var transfers []capycoin.Transfer
	for range rapid.SampledFrom([]int{64, 64, 300}).Draw(t, "size") {
		i := r.IntN(few)
		for n := 0; funds[i] == 0 && n < few; n++ {
			i = (i + 1) % few
		}
		j := (i + 1 + r.IntN(few-1)) % few
		amount := 1 + capycoin.Coins(r.Int64N(int64(max(funds[i]/3, 1))))
		funds[i] -= amount
		funds[j] += amount
		transfer := capycoin.Transfer{Sender: m.order[i], Receiver: m.order[j], Amount: amount}
		if r.IntN(3) == 0 {
			transfer.Key = fmt.Sprintf("large-%d-%d", m.pos, len(transfers))
		}
		if key := m.model.accounts[transfer.Sender].key; key != nil {
			transfer.Key = fmt.Sprintf("signed-%d-%d", m.pos, len(transfers))
			m.willSign(&transfer, modelSignature{name: key.name, version: key.version, notAfter: m.now(m.clock.now()) + 1e6})
		}
		transfers = append(transfers, transfer)
	}
	m.doBatch(t, transfers, rapid.SampledFrom([]capycoin.BatchMode{capycoin.EachAlone, capycoin.Atomic}).Draw(t, "mode"))
}

func (m *machine) doBatch(t *rapid.T, transfers []capycoin.Transfer, mode capycoin.BatchMode) {
	t.Helper()
	want, wantErr := m.model.batch(transfers, mode, m.clock.now())
	for _, s := range m.subjects {
		signed := make([]capycoin.Transfer, len(transfers))
		for i := range transfers {
			signed[i] = m.sign(s, transfers[i])
		}
		got, err := s.led.TransferBatch(ctx, signed, mode)
		if len(got) != len(want) {
			t.Fatalf("%s: TransferBatch of %d: got %d results, error %v; want %d", s.name, len(transfers), len(got), err, len(want))
		}
		compare(t, s, fmt.Sprintf("TransferBatch of %d, mode %d", len(transfers), mode), 0, err, 0, wantErr)
		for i := range want {
			compare(t, s, fmt.Sprintf("transfer %d of a batch, %+v", i, transfers[i]),
				got[i].Receipt, got[i].Err, want[i].Receipt, want[i].Err)
		}
	}
}

func (m *machine) badBatch(t *rapid.T) {
	size := rapid.SampledFrom([]int{0, capycoin.MaxBatch + 1}).Draw(t, "size")
	transfers := slices.Repeat([]capycoin.Transfer{{Sender: m.seed, Receiver: m.unknown, Amount: 1}}, size)
	m.doBatch(t, transfers, capycoin.EachAlone)
	m.doBatch(t, transfers, capycoin.Atomic)
}

// cancelled makes a transfer whose caller has gone: it is not made.
func (m *machine) cancelled(t *rapid.T) {
	gone, cancel := context.WithCancel(ctx)
	cancel()
	transfer := m.drawTransfer(t)
	for _, s := range m.subjects {
		got, err := s.led.Transfer(gone, m.sign(s, transfer))
		if got != (capycoin.Receipt{}) || err == nil {
			t.Fatalf("%s: Transfer %+v of a caller that has gone: got %+v, error %v", s.name, transfer, got, err)
		}
		if account, err := s.led.OpenAccount(gone); err == nil {
			t.Fatalf("%s: OpenAccount of a caller that has gone: got %+v and no error", s.name, account)
		}
	}
}

func (m *machine) stepClock(t *rapid.T) {
	step := rapid.SampledFrom([]time.Duration{
		time.Nanosecond, time.Microsecond, 999 * time.Microsecond, time.Millisecond, time.Second, time.Hour, 24 * time.Hour,
		20 * 24 * time.Hour, -time.Microsecond, -time.Second, -time.Hour, -24 * time.Hour,
	}).Draw(t, "step")
	now := m.clock.now().Add(step * time.Duration(rapid.IntRange(1, 3).Draw(t, "times")))
	m.clock.set(now)
}

func (m *machine) reopen(t *rapid.T) {
	how := rapid.IntRange(0, 2).Draw(t, "how")
	m.cache = rapid.SampledFrom([]int{16, 17, m.cache}).Draw(t, "account cache")
	for _, s := range m.subjects {
		opts := m.options(s)
		if rapid.Bool().Draw(t, "name supply and seed") {
			opts.Supply, opts.SeedAccount = m.supply, m.seed
		}
		m.open(t, s, opts, how)
	}
}

// finish audits the books and compares them to the last line.
func (m *machine) finish(t *rapid.T) {
	m.compareAll(t)
	for _, s := range m.subjects {
		report, err := s.led.Audit(ctx, nil)
		if err != nil {
			t.Fatalf("%s: Audit: got error %v, want none", s.name, err)
		}
		if err := report.Err(); err != nil {
			t.Fatalf("%s: the audit found: %v", s.name, err)
		}
		if report.Records != m.pos || report.Transactions != int64(len(m.txs)) || report.Accounts != int64(len(m.order)) ||
			report.Keys != int64(len(m.keys)) || report.Supply != m.supply ||
			report.Invites != int64(len(m.goodInvites(m.clock.now()))) || report.Fees != m.fees() ||
			report.Signatures != m.signed() || report.Stipends != m.stipends {
			t.Fatalf("%s: Audit: got %+v, want %d records, %d transactions, %d accounts, %d keys, supply %d, %d invites",
				s.name, report, m.pos, len(m.txs), len(m.order), len(m.keys), m.supply, len(m.goodInvites(m.clock.now())))
		}
		if err := s.led.Close(); err != nil {
			t.Fatalf("%s: Close: got error %v, want none", s.name, err)
		}
	}
}
