package capycoin_test

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/capycoin/capycoin"
)

// modelRules are what a model has of keys, fees and stipends.
type modelRules struct {
	policy     *capycoin.FeePolicy // nil: there never was one
	signatures map[*capycoin.Signature]modelSignature
	changes    int64 // of keys
	stipends   int64
	last       capycoin.Stipend
}

// modelKeyOf is an account's key: testKey makes it of the name.
type modelKeyOf struct {
	name    string
	version uint32
}

// modelSignature says how a transfer is signed. The ledgers have different ids, so
// that each gets a signature of its own.
type modelSignature struct {
	name     string // of the key
	version  uint32
	notAfter int64
	spoilt   bool // a bit is wrong, or the ledger is another one
}

// malformed tells whether a signed transfer is not in form.
func malformed(t capycoin.Transfer) error {
	switch {
	case t.Signature == nil:
		return nil
	case t.Key != "" && badKey(t.Key):
		return fmt.Errorf("%w: %w", capycoin.ErrMalformedSignature, capycoin.ErrBadKey)
	case t.Key == "" || t.MaxFee == nil || *t.MaxFee < 0 || *t.MaxFee > capycoin.MaxSupply:
		return capycoin.ErrMalformedSignature
	}
	return nil
}

// judgeSignature judges the signature of a transfer, or that there is none.
func (m *model) judgeSignature(t capycoin.Transfer, sender *modelAccount, clock time.Time) error {
	if sender == nil {
		return nil
	}
	s, now := m.signatures[t.Signature], m.now(clock)
	switch key := sender.key; {
	case key == nil && t.Signature == nil:
		return nil
	case t.Signature == nil:
		return capycoin.ErrSignatureRequired
	case key == nil || s.spoilt || s.name != key.name || s.version != key.version:
		return capycoin.ErrInvalidSignature
	case now > s.notAfter:
		return capycoin.ErrSignatureExpired
	case s.notAfter-now > 24*3600*1e6:
		return capycoin.ErrSignatureTooLong
	}
	return nil
}

// fee is what a transfer costs.
func (m *model) fee(t capycoin.Transfer) capycoin.Coins {
	if m.policy == nil || t.Amount <= 0 {
		return 0
	}
	for _, id := range []uuid.UUID{t.Sender, t.Receiver} {
		if id == m.seed || id == capycoin.FeeAccount() || slices.Contains(m.policy.Exempt, id) {
			return 0
		}
	}
	if fee := naiveFee(*m.policy, t.Amount); fee.IsInt64() {
		return capycoin.Coins(fee.Int64())
	}
	return 1<<63 - 1
}

// setFeePolicy makes a policy the one in force.
func (m *model) setFeePolicy(p capycoin.FeePolicy, clock time.Time) {
	if m.policy == nil {
		m.openAccount(capycoin.FeeAccount(), clock)
	}
	m.record(clock)
	m.policy = &p
}

func (m *model) fees() (sum capycoin.Coins) {
	for _, tx := range m.txs {
		sum += tx.receipt.Fee
	}
	return sum
}

// signed is how many signatures are in the journal.
func (m *model) signed() int64 {
	n := 2 * m.changes
	for _, tx := range m.txs {
		if tx.Signature != nil {
			n++
		}
	}
	return n
}

const dayMicros = 24 * 3600 * 1_000_000

// plan is the stipend that could be begun now, and who gets it.
func (m *model) plan(rules capycoin.StipendRules, clock time.Time) (s capycoin.Stipend, payees []uuid.UUID) {
	if rules.Window == 0 {
		rules.Window = 7
	}
	if rules.MinAge == 0 {
		rules.MinAge = 1
	}
	day := m.now(clock) / dayMicros
	begin := day * dayMicros
	if m.last.Position > 0 && m.last.Day.UnixMicro() >= begin {
		return m.last, nil
	}
	s = capycoin.Stipend{Day: micros(begin), Rules: rules}
	for pos := m.pos; pos > 0 && s.Before == 0; pos-- {
		if m.times[pos] < begin {
			s.Before = pos
		}
	}
	for _, id := range m.order {
		a := m.accounts[id]
		if id == m.seed || id == capycoin.FeeAccount() || a.created > begin-int64(rules.MinAge)*dayMicros {
			continue
		}
		active := false
		for _, entry := range a.history {
			tx := m.txs[entry.tx]
			active = active || tx.Sender == id && tx.time < begin && tx.time >= begin-int64(rules.Window)*dayMicros
		}
		if active {
			payees = append(payees, id)
		}
	}
	s.Payees = int64(len(payees))
	if pool := m.accounts[capycoin.FeeAccount()]; pool != nil {
		s.Funds = pool.funds
	}
	if s.Payees > 0 {
		s.Share = s.Funds / capycoin.Coins(s.Payees)
	}
	if rules.Cap > 0 {
		s.Share = min(s.Share, rules.Cap)
	}
	return s, payees
}

// payStipend begins the stipend of the day, if there is one to begin, and pays it.
func (m *model) payStipend(rules capycoin.StipendRules, clock time.Time) capycoin.Stipend {
	s, payees := m.plan(rules, clock)
	if s.Position > 0 || s.Share == 0 {
		return s
	}
	m.record(clock)
	s.Position = m.pos
	for _, id := range payees {
		m.move(capycoin.Transfer{Sender: capycoin.FeeAccount(), Receiver: id, Amount: s.Share}, 0, clock)
		s.Paid++
	}
	m.last = s
	m.stipends++
	return s
}

// The names of keys, so that some meet.
var keyNames = []string{"red", "green", "blue"}

func drawMaxFee(t *rapid.T) *capycoin.Coins {
	fee := rapid.SampledFrom([]capycoin.Coins{-2, -2, -2, -2, -2, -2, 0, 1, 2, 20, -1, capycoin.MaxSupply, capycoin.MaxSupply + 1}).Draw(t, "max fee")
	if fee == -2 {
		return nil
	}
	return &fee
}

// willSign notes how a transfer is to be signed.
func (m *machine) willSign(t *capycoin.Transfer, s modelSignature) {
	t.Signature = &capycoin.Signature{NotAfter: micros(s.notAfter)}
	m.signatures[t.Signature] = s
	if t.MaxFee == nil {
		t.MaxFee = new(capycoin.Coins)
		*t.MaxFee = 1000
	}
}

// drawSignature draws the signature of a transfer, most often as it should be.
func (m *machine) drawSignature(t *rapid.T, tr *capycoin.Transfer) {
	s := modelSignature{name: "red", version: 1, notAfter: m.now(m.clock.now()) + 3600*1e6}
	how := rapid.IntRange(0, 19).Draw(t, "signature")
	if a := m.model.accounts[tr.Sender]; a != nil && a.key != nil {
		s.name, s.version = a.key.name, a.key.version
		if how < 16 && (tr.Key == "" || badKey(tr.Key)) {
			tr.Key = fmt.Sprintf("signed-%d", m.pos)
		}
		if tr.MaxFee != nil && *tr.MaxFee < 0 && how < 16 {
			tr.MaxFee = nil
		}
	} else if how != 19 {
		return
	}
	switch how {
	case 11:
		s.spoilt = true
	case 12:
		s.version = rapid.SampledFrom([]uint32{s.version - 1, s.version + 1}).Draw(t, "version")
	case 13:
		s.name = rapid.SampledFrom(keyNames).Draw(t, "key's name")
	case 14, 15:
		s.notAfter = m.now(m.clock.now()) + rapid.SampledFrom([]int64{0, -1, dayMicros, dayMicros + 1}).Draw(t, "not after")
	case 16:
		return
	}
	hadFee := tr.MaxFee
	m.willSign(tr, s)
	if how == 17 {
		tr.MaxFee = hadFee // which may be none
	}
}

// sign gives a transfer the signature for one of the ledgers.
func (m *machine) sign(s *subject, t capycoin.Transfer) capycoin.Transfer {
	if t.Signature == nil {
		return t
	}
	how := m.signatures[t.Signature]
	key, _ := testKey(how.name)
	signature, err := capycoin.SignTransfer(m.ledgerID[s.name], how.version, t, t.Signature.NotAfter, key)
	if err != nil {
		return t // it is not in form
	}
	if how.spoilt {
		signature.Bytes[int(m.pos)%64] ^= 1 << (m.pos % 8)
	}
	t.Signature = signature
	return t
}

// openKeyed opens an account with a key.
func (m *machine) openKeyed(t *rapid.T) {
	name := rapid.SampledFrom(keyNames).Draw(t, "key's name")
	_, public := testKey(name)
	var got []capycoin.Account
	for _, s := range m.subjects {
		s.ids.repeat = 0
		account, err := s.led.OpenKeyedAccount(ctx, public)
		if err != nil {
			t.Fatalf("%s: OpenKeyedAccount: got error %v", s.name, err)
		}
		got = append(got, account)
	}
	m.model.openAccount(got[0].ID, m.clock.now())
	m.model.accounts[got[0].ID].key = &modelKeyOf{name, 1}
	for i, s := range m.subjects {
		compare(t, s, "OpenKeyedAccount", got[i], nil, m.model.account(got[0].ID), nil)
	}
}

// changeKey changes a key, or asks for what can't be.
func (m *machine) changeKey(t *rapid.T) {
	id := m.drawAccount(t, "account")
	var keyed []uuid.UUID
	for _, id := range m.order {
		if m.model.accounts[id].key != nil {
			keyed = append(keyed, id)
		}
	}
	if len(keyed) > 0 && rapid.IntRange(0, 9).Draw(t, "one with a key") > 0 {
		id = rapid.SampledFrom(keyed).Draw(t, "account")
	}
	how := rapid.IntRange(0, 9).Draw(t, "how")
	c := capycoin.KeyChange{Account: id, Version: 1}
	oldName, newName := "red", rapid.SampledFrom(keyNames).Draw(t, "new key")
	a := m.model.accounts[id]
	if a != nil && a.key != nil {
		oldName, c.Version = a.key.name, a.key.version
	}
	var wantErr error
	if how == 0 {
		c.Version += 1 - 2*uint32(rapid.IntRange(0, 1).Draw(t, "version"))
	}
	if how == 1 {
		oldName = rapid.SampledFrom(keyNames).Draw(t, "signer")
	}
	switch {
	case a == nil:
		wantErr = capycoin.ErrAccountNotFound
	case a.key == nil:
		wantErr = capycoin.ErrNoKey
	case c.Version != a.key.version:
		wantErr = capycoin.ErrKeyVersion
	case oldName != a.key.name:
		wantErr = capycoin.ErrInvalidSignature
	}
	var want capycoin.Account
	if wantErr == nil {
		m.record(m.clock.now())
		a.key = &modelKeyOf{newName, a.key.version + 1}
		m.changes++
		want = m.model.account(id)
	}
	oldKey, _ := testKey(oldName)
	newKey, public := testKey(newName)
	c.NewKey = public
	for _, s := range m.subjects {
		var err, newErr error
		c.OldSignature, err = capycoin.SignKeyChange(m.ledgerID[s.name], id, c.Version, public, oldKey)
		c.NewSignature, newErr = capycoin.SignKeyChange(m.ledgerID[s.name], id, c.Version, public, newKey)
		if err := errors.Join(err, newErr); err != nil {
			t.Fatal(err)
		}
		got, err := s.led.ChangeKey(ctx, c)
		compare(t, s, fmt.Sprintf("ChangeKey of %v", id), got, err, want, wantErr)
	}
}

// setFee sets a policy, or one that can't be.
func (m *machine) setFee(t *rapid.T) {
	some := rapid.SampledFrom([]capycoin.Coins{0, 0, 1, 2, 5, 20, m.supply, m.supply + 1, -1})
	p := capycoin.FeePolicy{
		Flat: some.Draw(t, "flat"), BasisPoints: rapid.SampledFrom([]int{0, 1, 100, 3333, 10_000, 10_001, -1}).Draw(t, "basis points"),
		Min: some.Draw(t, "min"), Max: some.Draw(t, "max"),
	}
	var wantErr error
	for range rapid.IntRange(0, 3).Draw(t, "exempt accounts") {
		id := m.drawAccount(t, "exempt account")
		if m.model.accounts[id] == nil {
			wantErr = capycoin.ErrAccountNotFound
		}
		p.Exempt = append(p.Exempt, id)
	}
	out := func(c capycoin.Coins) bool { return c < 0 || c > m.supply }
	if out(p.Flat) || out(p.Min) || out(p.Max) || p.BasisPoints < 0 || p.BasisPoints > 10_000 || p.Max > 0 && p.Min > p.Max {
		wantErr = capycoin.ErrBadOption
	}
	clock := m.clock.now()
	if wantErr == nil {
		m.setFeePolicy(p, clock)
	}
	for _, s := range m.subjects {
		compare(t, s, fmt.Sprintf("SetFeePolicy %+v", p), 0, s.led.SetFeePolicy(ctx, p), 0, wantErr)
		amount := capycoin.Coins(rapid.IntRange(1, 1000).Draw(t, "amount"))
		fee, err := s.led.Fee(ctx, amount)
		var want capycoin.Coins
		if m.policy != nil {
			want = capycoin.Coins(naiveFee(*m.policy, amount).Int64())
		}
		compare(t, s, "Fee", fee, err, want, nil)
	}
}

func drawRules(t *rapid.T) capycoin.StipendRules {
	return capycoin.StipendRules{
		Window: rapid.SampledFrom([]int{0, 1, 2, 30, 365}).Draw(t, "window"),
		MinAge: rapid.SampledFrom([]int{0, 1, 2, 30}).Draw(t, "age"),
		Cap:    rapid.SampledFrom([]capycoin.Coins{0, 0, 1}).Draw(t, "cap"),
	}
}

// stipend plans and pays the stipend of the day.
func (m *machine) stipend(t *rapid.T) {
	rules := drawRules(t)
	clock := m.clock.now()
	want, _ := m.plan(rules, clock)
	for _, s := range m.subjects {
		got, err := s.led.PlanStipend(ctx, rules)
		compare(t, s, "PlanStipend", got, err, want, nil)
	}
	want = m.payStipend(rules, clock)
	for _, s := range m.subjects {
		got, err := s.led.PayStipend(ctx, rules)
		compare(t, s, "PayStipend", got, err, want, nil)
		got, err = s.led.LastStipend(ctx)
		compare(t, s, "LastStipend", got, err, m.last, nil)
	}
}

// someDays lets accounts be opened and paid, pay each other the day after, and get a
// stipend the day after that, on which the fee account gets more.
func (m *machine) someDays(t *rapid.T) {
	if m.policy == nil || rapid.Bool().Draw(t, "a new fee") {
		p := capycoin.FeePolicy{Flat: 1, BasisPoints: rapid.IntRange(0, 300).Draw(t, "basis points")}
		m.setFeePolicy(p, m.clock.now())
		for _, s := range m.subjects {
			compare(t, s, "SetFeePolicy", 0, s.led.SetFeePolicy(ctx, p), 0, nil)
		}
	}
	m.openKeyed(t)
	m.openAccounts(t)
	some := func() uuid.UUID { return m.order[rapid.IntRange(1, len(m.order)-1).Draw(t, "account")] }
	var gifts, payments []capycoin.Transfer
	for i := range rapid.IntRange(2, 20).Draw(t, "payments") {
		tr := capycoin.Transfer{Sender: some(), Receiver: some(), Amount: 1, Key: fmt.Sprintf("days-%d-%d", m.pos, i)}
		if tr.Sender == capycoin.FeeAccount() || tr.Sender == tr.Receiver {
			continue
		}
		gifts = append(gifts, capycoin.Transfer{Sender: m.seed, Receiver: tr.Sender, Amount: 5})
		payments = append(payments, tr)
	}
	if len(payments) == 0 {
		return
	}
	mode := rapid.SampledFrom([]capycoin.BatchMode{capycoin.EachAlone, capycoin.Atomic})
	m.doBatch(t, gifts, mode.Draw(t, "mode"))
	m.nextDay(t)
	m.clock.set(m.clock.now().Add(24 * time.Hour))
	for i := range payments {
		if key := m.model.accounts[payments[i].Sender].key; key != nil {
			m.willSign(&payments[i], modelSignature{name: key.name, version: key.version, notAfter: m.now(m.clock.now())})
		}
	}
	m.doBatch(t, payments, mode.Draw(t, "mode"))
	m.nextDay(t)
	m.doBatch(t, []capycoin.Transfer{{Sender: m.seed, Receiver: capycoin.FeeAccount(), Amount: capycoin.Coins(rapid.IntRange(1, 40).Draw(t, "donation"))}}, capycoin.EachAlone)
	m.stipend(t)
}

// nextDay sets the clock to about the beginning of the ledger's next day.
func (m *machine) nextDay(t *rapid.T) {
	begin := (m.now(m.clock.now())/dayMicros + 1) * dayMicros
	m.clock.set(micros(begin + rapid.SampledFrom([]int64{-1, 0, 1, 3600 * 1e6}).Draw(t, "from midnight")))
}
