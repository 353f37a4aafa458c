package capycoin_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

// model is a ledger as naive as can be: maps and slices, no files, no caches.
// The tests do the same to it and to real ledgers and compare every answer.
type model struct {
	supply   capycoin.Coins
	seed     uuid.UUID
	pos      uint64 // of the last record
	time     int64  // of the last record, in microseconds
	accounts map[uuid.UUID]*modelAccount
	order    []uuid.UUID // of opening
	txs      []modelTx   // by position
	keys     map[modelKey]int
	tokens   []*modelToken // in order of issue
	invites  []*modelInvite
	times    []int64 // of the records, by position
	modelRules
}

type modelAccount struct {
	id      uuid.UUID
	created int64
	funds   capycoin.Coins
	history []modelEntry
	key     *modelKeyOf // nil: it has none
}

// modelEntry is a transaction in an account's history.
type modelEntry struct {
	tx    int // its index in txs
	funds capycoin.Coins
}

type modelTx struct {
	capycoin.Transfer
	id       uuid.UUID
	pos      uint64
	time     int64
	receipt  capycoin.Receipt
	senderNo int64 // the sender's n-th transaction
}

type modelKey struct {
	sender uuid.UUID
	key    string
}

type modelToken struct {
	capycoin.IssuedToken
	revoked bool
}

type modelInvite struct {
	capycoin.Invite
	ended bool // used or revoked
}

// newModel returns a model of a ledger that has only its genesis, made at a
// time in microseconds.
func newModel(supply capycoin.Coins, seed uuid.UUID, made int64) *model {
	m := &model{
		supply: supply, seed: seed, pos: 1, time: made,
		accounts: make(map[uuid.UUID]*modelAccount),
		keys:     make(map[modelKey]int),
		times:    []int64{0, made},
	}
	m.signatures = make(map[*capycoin.Signature]modelSignature)
	created := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	m.accounts[seed] = &modelAccount{id: seed, created: created, funds: supply}
	m.order = []uuid.UUID{seed}
	return m
}

// now is the time of a ledger whose clock says clock.
func (m *model) now(clock time.Time) int64 { return max(clock.UnixMicro(), m.time) }

// record takes the next position for a record.
func (m *model) record(clock time.Time) {
	m.time = m.now(clock)
	m.pos++
	m.times = append(m.times, m.time)
}

// rewind forgets the last records, whose effects were undone.
func (m *model) rewind(pos uint64, last int64) {
	m.pos, m.time, m.times = pos, last, m.times[:pos+1]
}

// modelID is the id of a transaction or token: a version-7 UUID of its
// record's time and position.
func modelID(micros int64, pos uint64) uuid.UUID {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[0:], uint64(micros/1000)<<16|0x7000|uint64(micros%1000))
	binary.BigEndian.PutUint64(id[8:], 0x8000_0000_0000_0000|pos)
	return id
}

// openAccount opens an account with an id that is not in use.
func (m *model) openAccount(id uuid.UUID, clock time.Time) capycoin.Account {
	m.record(clock)
	m.accounts[id] = &modelAccount{id: id, created: m.time}
	m.order = append(m.order, id)
	return m.account(id)
}

// account returns an account that there is.
func (m *model) account(id uuid.UUID) capycoin.Account {
	a := m.accounts[id]
	acct := capycoin.Account{ID: id, Created: micros(a.created), Funds: a.funds, Transactions: int64(len(a.history))}
	if a.key != nil {
		_, acct.PublicKey = testKey(a.key.name)
		acct.KeyVersion = a.key.version
	}
	return acct
}

func micros(us int64) time.Time { return time.UnixMicro(us).UTC() }

// badKey tells whether a key is not in form.
func badKey(key string) bool {
	if len(key) > capycoin.MaxKeyLen {
		return true
	}
	for i := range len(key) {
		if c := key[i]; c < 0x21 || c > 0x7e || c == '"' || c == '\\' {
			return true
		}
	}
	return false
}

// transfer judges one transfer and makes it.
func (m *model) transfer(t capycoin.Transfer, clock time.Time) (capycoin.Receipt, error) {
	if err := malformed(t); err != nil {
		return capycoin.Receipt{}, err
	}
	if badKey(t.Key) {
		return capycoin.Receipt{}, capycoin.ErrBadKey
	}
	if i, ok := m.keys[modelKey{t.Sender, t.Key}]; ok && t.Key != "" {
		first := m.txs[i]
		if first.Receiver != t.Receiver || first.Amount != t.Amount {
			return capycoin.Receipt{}, capycoin.ErrKeyReused
		}
		receipt := first.receipt
		receipt.Replayed = true
		return receipt, nil
	}
	sender, receiver := m.accounts[t.Sender], m.accounts[t.Receiver]
	if err := m.judgeSignature(t, sender, clock); err != nil {
		return capycoin.Receipt{}, err
	}
	fee := m.fee(t)
	switch {
	case t.Amount == 0:
		return capycoin.Receipt{}, capycoin.ErrAmountIsZero
	case t.Amount < 0:
		return capycoin.Receipt{}, capycoin.ErrAmountIsNegative
	case t.Sender == t.Receiver:
		return capycoin.Receipt{}, capycoin.ErrSameAccount
	case sender == nil:
		return capycoin.Receipt{}, capycoin.ErrSenderNotFound
	case t.Sender == capycoin.FeeAccount():
		return capycoin.Receipt{}, capycoin.ErrFeeAccount
	case receiver == nil:
		return capycoin.Receipt{}, capycoin.ErrReceiverNotFound
	case t.MaxFee != nil && fee > *t.MaxFee:
		return capycoin.Receipt{}, &capycoin.FeeTooHighError{Fee: fee, MaxFee: *t.MaxFee}
	case sender.funds < t.Amount || sender.funds-t.Amount < fee:
		required := t.Amount + fee
		if required < t.Amount {
			required = 1<<63 - 1
		}
		return capycoin.Receipt{}, &capycoin.InsufficientFundsError{Funds: sender.funds, Required: required}
	}
	return m.move(t, fee, clock), nil
}

// move makes a transfer.
func (m *model) move(t capycoin.Transfer, fee capycoin.Coins, clock time.Time) capycoin.Receipt {
	sender, receiver := m.accounts[t.Sender], m.accounts[t.Receiver]
	m.record(clock)
	sender.funds -= t.Amount + fee
	receiver.funds += t.Amount
	tx := modelTx{Transfer: t, id: modelID(m.time, m.pos), pos: m.pos, time: m.time, senderNo: int64(len(sender.history)) + 1}
	tx.receipt = capycoin.Receipt{
		TransactionID: tx.id, Position: tx.pos, Timestamp: micros(tx.time),
		Sender: t.Sender, Receiver: t.Receiver, Amount: t.Amount, Fee: fee, SenderFunds: sender.funds,
	}
	sender.history = append(sender.history, modelEntry{len(m.txs), sender.funds})
	receiver.history = append(receiver.history, modelEntry{len(m.txs), receiver.funds})
	if fee > 0 {
		pool := m.accounts[capycoin.FeeAccount()]
		pool.funds += fee
		pool.history = append(pool.history, modelEntry{len(m.txs), pool.funds})
	}
	if t.Key != "" {
		m.keys[modelKey{t.Sender, t.Key}] = len(m.txs)
	}
	m.txs = append(m.txs, tx)
	return tx.receipt
}

// undo takes back the last transfer. The time and position are the caller's.
func (m *model) undo() {
	tx := m.txs[len(m.txs)-1]
	m.txs = m.txs[:len(m.txs)-1]
	changes := map[uuid.UUID]capycoin.Coins{tx.Sender: tx.Amount + tx.receipt.Fee, tx.Receiver: -tx.Amount}
	if tx.receipt.Fee > 0 {
		changes[capycoin.FeeAccount()] = -tx.receipt.Fee
	}
	for id, amount := range changes {
		a := m.accounts[id]
		a.funds += amount
		a.history = a.history[:len(a.history)-1]
	}
	if tx.Key != "" {
		delete(m.keys, modelKey{tx.Sender, tx.Key})
	}
}

// batch judges a batch.
func (m *model) batch(ts []capycoin.Transfer, mode capycoin.BatchMode, clock time.Time) ([]capycoin.Result, error) {
	if len(ts) == 0 || len(ts) > capycoin.MaxBatch {
		return nil, capycoin.ErrBatchSize
	}
	pos, last, made := m.pos, m.time, len(m.txs)
	results := make([]capycoin.Result, len(ts))
	for i, t := range ts {
		receipt, err := m.transfer(t, clock)
		if err != nil && mode == capycoin.Atomic {
			for len(m.txs) > made {
				m.undo()
			}
			m.rewind(pos, last)
			return nil, &capycoin.BatchError{Index: i, Err: err}
		}
		results[i] = capycoin.Result{Receipt: receipt, Err: err}
	}
	return results, nil
}

// transaction is an entry of an account's history, n from 0.
func (m *model) transaction(a *modelAccount, n int) capycoin.Transaction {
	entry := a.history[n]
	tx := m.txs[entry.tx]
	return capycoin.Transaction{
		ID: tx.id, Position: tx.pos, Timestamp: micros(tx.time), Sender: tx.Sender, Receiver: tx.Receiver,
		Amount: tx.Amount, Fee: tx.receipt.Fee, Key: tx.Key, Account: a.id, Ordinal: int64(n) + 1, FundsAfter: entry.funds,
	}
}

// list scans an account's history for a range, from behind the position after
// if that is not 0. The range has no cursor.
func (m *model) list(account uuid.UUID, r capycoin.Range, after uint64) []capycoin.Transaction {
	a := m.accounts[account]
	var list []capycoin.Transaction
	for n := range a.history {
		if r.Order == capycoin.NewestFirst {
			n = len(a.history) - 1 - n
		}
		tx := m.transaction(a, n)
		us := tx.Timestamp.UnixMicro()
		switch {
		case !r.Start.IsZero() && us < r.Start.UnixMicro():
		case !r.End.IsZero() && us >= r.End.UnixMicro():
		case after != 0 && r.Order != capycoin.NewestFirst && tx.Position <= after:
		case after != 0 && r.Order == capycoin.NewestFirst && tx.Position >= after:
		default:
			list = append(list, tx)
		}
	}
	return list
}

// fundsAt is what an account had after all transactions up to a time.
func (m *model) fundsAt(account uuid.UUID, t time.Time) capycoin.Coins {
	var funds capycoin.Coins
	if account == m.seed {
		funds = m.supply
	}
	for _, tx := range m.list(account, capycoin.Range{}, 0) {
		if tx.Timestamp.UnixMicro() <= t.UnixMicro() {
			funds = tx.FundsAfter
		}
	}
	return funds
}

// supplyNow is the whole currency, but for the ledger's id.
func (m *model) supplyNow() capycoin.Supply {
	funds := m.accounts[m.seed].funds
	return capycoin.Supply{
		SeedAccount: m.seed, Supply: m.supply, SeedFunds: funds, Circulating: m.supply - funds,
		Accounts: int64(len(m.order)), Transactions: int64(len(m.txs)), Position: m.pos, Time: micros(m.time),
	}
}

// live are an account's live tokens.
func (m *model) live(account uuid.UUID, clock time.Time) []capycoin.Token {
	live := []capycoin.Token{}
	for _, token := range m.tokens {
		if token.Account == account && m.valid(token, clock) {
			live = append(live, token.Token)
		}
	}
	return live
}

// valid tells whether a token lets someone in.
func (m *model) valid(token *modelToken, clock time.Time) bool {
	return !token.revoked && token.Expires.UnixMicro() > m.now(clock)
}

// issue notes a token whose secret the ledger made up. It takes a position.
func (m *model) issue(account uuid.UUID, label string, expires time.Time, secret string, clock time.Time) capycoin.IssuedToken {
	m.record(clock)
	token := capycoin.IssuedToken{Secret: secret, Token: capycoin.Token{
		ID: modelID(m.time, m.pos), Account: account, Label: label, Created: micros(m.time), Expires: expires,
	}}
	m.tokens = append(m.tokens, &modelToken{IssuedToken: token})
	return token
}

// invite notes an invite. It takes a position.
func (m *model) invite(label string, expires time.Time, clock time.Time) *modelInvite {
	m.record(clock)
	inv := &modelInvite{Invite: capycoin.Invite{ID: modelID(m.time, m.pos), Label: label, Created: micros(m.time), Expires: expires}}
	m.invites = append(m.invites, inv)
	return inv
}

// good tells whether an invite opens an account.
func (m *model) good(inv *modelInvite, clock time.Time) bool {
	return !inv.ended && inv.Expires.UnixMicro() > m.now(clock)
}

// goodInvites are the invites that open an account.
func (m *model) goodInvites(clock time.Time) []capycoin.Invite {
	good := []capycoin.Invite{}
	for _, inv := range m.invites {
		if m.good(inv, clock) {
			good = append(good, inv.Invite)
		}
	}
	return good
}

// sentinels are the errors that a ledger's answers are told apart by.
var sentinels = []error{
	capycoin.ErrBadOption, capycoin.ErrSupplyMismatch, capycoin.ErrSeedMismatch, capycoin.ErrCorrupt, capycoin.ErrClosed,
	capycoin.ErrStopped, capycoin.ErrOutcomeUnknown, capycoin.ErrNotWritten, capycoin.ErrFenced, capycoin.ErrBatchSize,
	capycoin.ErrBatchTooLarge, capycoin.ErrBadKey, capycoin.ErrKeyReused, capycoin.ErrAmountIsZero,
	capycoin.ErrAmountIsNegative, capycoin.ErrSameAccount, capycoin.ErrSenderNotFound, capycoin.ErrReceiverNotFound,
	capycoin.ErrInsufficientFunds, capycoin.ErrAccountNotFound, capycoin.ErrTransactionNotFound, capycoin.ErrBadRange,
	capycoin.ErrBadCursor, capycoin.ErrInvalidToken, capycoin.ErrTokenNotFound, capycoin.ErrTooManyTokens,
	capycoin.ErrBadLabel, capycoin.ErrBadExpiry, capycoin.ErrSeedToken, capycoin.ErrBusy,
	capycoin.ErrInvalidInvite, capycoin.ErrInviteNotFound,
	capycoin.ErrMalformedSignature, capycoin.ErrSignatureRequired, capycoin.ErrInvalidSignature, capycoin.ErrSignatureExpired,
	capycoin.ErrSignatureTooLong, capycoin.ErrFeeAccount, capycoin.ErrFeeTooHigh, capycoin.ErrFeeToken, capycoin.ErrBadPublicKey,
	capycoin.ErrNoKey, capycoin.ErrKeyVersion,
}

// describe puts into words which errors an error is, with their numbers. Two
// errors with the same description tell a caller the same.
func describe(err error) string {
	if err == nil {
		return "no error"
	}
	var words []string
	for _, sentinel := range sentinels {
		if errors.Is(err, sentinel) {
			words = append(words, sentinel.Error())
		}
	}
	var insufficient *capycoin.InsufficientFundsError
	if errors.As(err, &insufficient) {
		words = append(words, fmt.Sprintf("funds %d, required %d", insufficient.Funds, insufficient.Required))
	}
	var high *capycoin.FeeTooHighError
	if errors.As(err, &high) {
		words = append(words, fmt.Sprintf("fee %d, allowed %d", high.Fee, high.MaxFee))
	}
	var batch *capycoin.BatchError
	if errors.As(err, &batch) {
		words = append(words, fmt.Sprintf("transfer %d of a batch", batch.Index))
	}
	if len(words) == 0 {
		return "another error: " + err.Error()
	}
	return strings.Join(words, "; ")
}
