package capycoin

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/chain"
	"github.com/capycoin/capycoin/internal/journal"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

const (
	// replayFold is how many records are replayed before they are folded, so
	// that a journal whose rows were lost is replayed in bounded memory.
	replayFold = 1 << 20
)

// writeGenesis begins the journal of a new ledger.
func writeGenesis(ctx context.Context, log store.Log, o Options) error {
	ledger, err := uuid.NewRandom()
	if err != nil {
		return fmt.Errorf("making a ledger id: %w", err)
	}
	g := &record.Genesis{Ledger: ledger, Supply: int64(o.Supply), Seed: o.SeedAccount, Key: o.SeedKey}
	if g.Supply == 0 {
		g.Supply = int64(DefaultSupply)
	}
	if g.Seed == [16]byte{} {
		g.Seed = DefaultSeedAccount()
	}
	r := record.New(1, clockMicros(o.Clock), g)
	return log.Append(ctx, 0, [][]byte{record.Append(nil, &r)})
}

// recover brings the state to the end of the journal: what the rows hold, and
// the records after the fold position over it.
func (l *Ledger) recover(ctx context.Context, o Options) error {
	tail, err := l.log.Tail(ctx)
	if err != nil {
		return err
	}
	if tail == 0 {
		// Fenced: another ledger was quicker, so its genesis is this one's.
		fenced := writeGenesis(ctx, l.log, o)
		if fenced != nil && !errors.Is(fenced, store.ErrFenced) {
			return fenced
		}
		if tail, err = l.log.Tail(ctx); err != nil {
			return err
		}
		if tail == 0 {
			return fenced
		}
	}
	if err := journal.Read(ctx, l.log, 1, &l.scratch); err != nil {
		return err
	}
	if l.scratch.Kind != record.KindGenesis {
		return fmt.Errorf("%w: record 1 is of kind %d, not a genesis", store.ErrCorrupt, l.scratch.Kind)
	}
	l.genesis = *l.scratch.Body.(*record.Genesis)
	if o.Supply != 0 && int64(o.Supply) != l.genesis.Supply {
		return fmt.Errorf("%w: it has %d coins, not %d", ErrSupplyMismatch, l.genesis.Supply, o.Supply)
	}
	if o.SeedAccount != [16]byte{} && o.SeedAccount != l.genesis.Seed {
		return fmt.Errorf("%w: it has %s, not %s", ErrSeedMismatch, l.genesis.Seed, o.SeedAccount)
	}
	if !o.SeedKey.IsZero() && o.SeedKey != l.genesis.Key {
		has := "none"
		if l.genesis.Key != record.NoKey {
			has = PublicKey(l.genesis.Key).String()
		}
		return fmt.Errorf("%w: it has %s, not %s", ErrSeedKeyMismatch, has, o.SeedKey)
	}
	l.tail = tail
	if l.witness != nil {
		if err := l.witness.Open(ctx, tail); err != nil {
			return err
		}
	}
	if l.bolt != nil && l.bolt.RowsAreOld() { // its rows can't be read
		if err := l.checkJournal(ctx, tail); err != nil {
			return err
		}
		if err := l.bolt.Upgrade(); err != nil {
			return err
		}
	}
	value, err := l.folds.Get(ctx, store.TableState, accounts.StateKey)
	if err != nil {
		return err
	}
	if value != nil {
		if l.folder.folded, l.books.Totals, err = accounts.DecodeState(value); err != nil {
			return err
		}
	}
	if err := l.readRules(ctx); err != nil {
		return err
	}
	if err := l.keys.LoadRuns(ctx); err != nil {
		return err
	}
	if err := l.checkState(ctx, value != nil); err != nil {
		return err
	}
	if err := l.warm(ctx, tail-l.folder.folded); err != nil {
		return err
	}
	if err := l.replay(ctx, l.folder.folded+1, l.foldReplayed); err != nil {
		return err
	}
	if l.books.Position < tail {
		return fmt.Errorf("%w: the journal ends at record %d, not %d", store.ErrCorrupt, l.books.Position, tail)
	}
	if l.bolt != nil { // nothing can be refused any more
		return l.bolt.Upgrade()
	}
	return nil
}

// checkJournal makes sure that all records can be read, up to the last one.
func (l *Ledger) checkJournal(ctx context.Context, tail uint64) error {
	page := make([]record.Record, journal.PageRecords)
	for position := uint64(0); position < tail; {
		n, err := journal.ReadPage(ctx, l.log, position+1, page)
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("%w: the journal ends at record %d, not %d", store.ErrCorrupt, position, tail)
		}
		position += uint64(n)
	}
	return nil
}

// checkState makes sure that the state row is of this journal: rows of another
// ledger, or of records that are lost, would be judged on.
func (l *Ledger) checkState(ctx context.Context, found bool) error {
	b, r := &l.books, &l.scratch
	if !found {
		return nil
	}
	if b.Position > l.tail {
		return fmt.Errorf("%w: the rows are as of record %d, the journal ends at %d", store.ErrCorrupt, b.Position, l.tail)
	}
	if l.folder.folded < 1 || b.Accounts < 1 || uint64(b.Accounts)+uint64(b.Transactions) > b.Position {
		return fmt.Errorf("%w: the rows are folded up to record %d and as of record %d, with %d accounts and %d transactions",
			store.ErrCorrupt, l.folder.folded, b.Position, b.Accounts, b.Transactions)
	}
	if err := journal.Read(ctx, l.log, b.Position, r); err != nil {
		return err
	}
	if r.Time != b.Time {
		return fmt.Errorf("%w: the rows are not of this journal: record %d is of %s in them, and of %s", store.ErrCorrupt,
			b.Position, wire.TimeOf(b.Time), wire.TimeOf(r.Time))
	}
	head := b.Opened[len(b.Opened)-1]
	if head > b.Position {
		return fmt.Errorf("%w: the rows are as of record %d, and name record %d", store.ErrCorrupt, b.Position, head)
	}
	if err := journal.Read(ctx, l.log, head, r); err != nil {
		return err
	}
	ordinal := int64(0)
	switch r.Kind {
	case record.KindGenesis:
		ordinal = 1
	case record.KindAccount:
		ordinal = r.Body.(*record.Account).Link.Ordinal
	}
	if ordinal != b.Accounts {
		return fmt.Errorf("%w: the rows are not of this journal: record %d does not open account %d", store.ErrCorrupt, head, b.Accounts)
	}
	return nil
}

// checkRow makes sure that a row of an account is of records that there are, up
// to a position.
func checkRow(a *accounts.Account, position uint64) error {
	if a.AsOf > position {
		return fmt.Errorf("%w: the row of account %s is as of record %d, the journal ends at %d", store.ErrCorrupt, a.ID, a.AsOf, position)
	}
	return nil
}

// warm brings all accounts into memory, in order, if there is room and so many
// records are to be replayed that to look for theirs would take longer: that
// takes about ten times as long for an account.
func (l *Ledger) warm(ctx context.Context, records uint64) error {
	if accounts := l.books.Accounts; accounts > int64(l.cache.Limit) || uint64(accounts) > 8*records {
		return nil
	}
	return wire.ScanRows(ctx, l.folds.Scan, store.TableAccounts, func(key, value []byte) (bad error) {
		damaged := accounts.InRow(key, value, func(id uuid.UUID, _, state []byte) bool {
			var a *accounts.Account
			if a, bad = accounts.Decode(id, state); bad == nil {
				bad = checkRow(a, l.tail)
			}
			if bad == nil {
				l.cache.Add(a)
			}
			return bad == nil
		})
		return errors.Join(bad, damaged)
	})
}

// foldReplayed keeps the memory of a long replay bounded. A store that can't
// write is opened yet, so that it can be read: that takes memory for as many
// records as were not folded, until it can.
func (l *Ledger) foldReplayed(position uint64) error {
	f := &l.folder
	if l.cache.Dirty <= l.cache.Limit/2 && position-f.folded < replayFold || position < f.retry {
		return nil
	}
	err := l.foldAll(position)
	if errors.Is(err, store.ErrNotWritten) {
		f.retry = position + replayFold
		l.noteUnwritten(err)
		return nil
	}
	return err
}

// catchUp applies what another ledger has appended to the log.
func (l *Ledger) catchUp(ctx context.Context) error {
	return l.replay(ctx, l.books.Position+1, func(uint64) error { return nil })
}

// replay applies the records from a position to the end of the journal, and
// calls between with the last one applied, a page at a time.
func (l *Ledger) replay(ctx context.Context, from uint64, between func(uint64) error) error {
	page := make([]record.Record, journal.PageRecords)
	for {
		n, err := journal.ReadPage(ctx, l.log, from, page)
		if err != nil {
			return err
		}
		var hints [accounts.ReadAhead][2]uint32
		for i := range page[:n] {
			if i%accounts.ReadAhead == 0 {
				l.warmth += l.cache.WarmAll(hintParties(l.cache, page[i:min(i+accounts.ReadAhead, n)], &hints))
			}
			if err := l.apply(ctx, &page[i], hints[i%accounts.ReadAhead]); err != nil {
				return err
			}
		}
		if n == 0 {
			return nil
		}
		from += uint64(n)
		if err := between(from - 1); err != nil {
			return err
		}
	}
}

// hintParties finds out where the accounts of transfers most likely are.
func hintParties(c *accounts.Cache, records []record.Record, hints *[accounts.ReadAhead][2]uint32) [][2]uint32 {
	for i := range records {
		hints[i] = [2]uint32{accounts.NoSlot, accounts.NoSlot}
		if r := &records[i]; r.Kind == record.KindTransfer {
			hints[i] = [2]uint32{c.Hint(&r.Transfer.Sender), c.Hint(&r.Transfer.Receiver)}
		}
	}
	return hints[:len(records)]
}

// load brings an account into the cache; ok is false if there is none. It is
// the writer's.
func (l *Ledger) load(ctx context.Context, id uuid.UUID, hint uint32) (slot uint32, ok bool, err error) {
	if slot, ok := l.cache.FindAt(hint, &id); ok {
		return slot, true, nil
	}
	a, err := accounts.Read(ctx, l.folds, id)
	if err != nil || a == nil {
		return 0, false, err
	}
	if err := checkRow(a, max(l.books.Position, l.tail)); err != nil {
		return 0, false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cache.Add(a), true, nil
}

// apply brings the effect of a record of the journal into the committed state,
// as one step for readers. What a row already has stays as it is. A record
// that does not follow from the state is damage.
func (l *Ledger) apply(ctx context.Context, r *record.Record, hints [2]uint32) error {
	var err error
	switch r.Kind {
	case record.KindGenesis:
		err = l.applyAccount(ctx, r, l.genesis.Seed, r.Body.(*record.Genesis).Key)
	case record.KindAccount:
		a := r.Body.(*record.Account)
		err = l.applyAccount(ctx, r, a.ID, a.Key)
	case record.KindTransfer:
		err = l.applyTransfer(ctx, r, hints)
	case record.KindToken:
		err = l.applyToken(ctx, r)
	case record.KindRevocation:
		err = l.applyRevocation(ctx, r)
	case record.KindInvite:
		err = l.applyInvite(r)
	case record.KindInviteEnd:
		err = l.applyInviteEnd(ctx, r)
	case record.KindKeyChange:
		err = l.applyKey(ctx, r)
	case record.KindFeePolicy, record.KindStipend: // an effect on the books only
		l.mu.Lock()
		defer l.mu.Unlock()
		err = l.count(r)
	}
	return err
}

// count brings a record into the books, unless they have it. The caller holds
// the lock.
func (l *Ledger) count(r *record.Record) error {
	b := &l.books
	if r.Position <= b.Position {
		return nil
	}
	if r.Position != b.Position+1 || r.Time < b.Time {
		return fmt.Errorf("%w: record %d of %s follows record %d of %s", store.ErrCorrupt,
			r.Position, wire.TimeOf(r.Time), b.Position, wire.TimeOf(b.Time))
	}
	switch r.Kind {
	case record.KindGenesis, record.KindAccount:
		got := chain.Link{Ordinal: 1}
		if r.Kind == record.KindAccount {
			got = r.Body.(*record.Account).Link
		}
		want, opened := chain.Push(b.Opened, b.Accounts, r.Position)
		if got != want {
			return fmt.Errorf("%w: record %d has %+v in the chain of accounts, it follows %+v", store.ErrCorrupt, r.Position, got, want)
		}
		b.Opened, b.Accounts = opened, b.Accounts+1
	case record.KindTransfer:
		if r.Transfer.Sender == record.FeeAccount {
			if b.unpaid() == 0 || r.Transfer.Amount != b.stipend.Share {
				return fmt.Errorf("%w: record %d takes coins from the fee account, and is no payment of a stipend", store.ErrCorrupt, r.Position)
			}
			b.Paid++
		}
		b.Transactions++
	case record.KindFeePolicy:
		b.setPolicy(r)
	case record.KindStipend:
		if b.policy == nil || b.unpaid() > 0 || b.stipend != nil && b.stipend.Day >= r.Body.(*record.Stipend).Day {
			return fmt.Errorf("%w: record %d begins a stipend that can't be", store.ErrCorrupt, r.Position)
		}
		b.setStipend(r)
	}
	b.Position, b.Time = r.Position, r.Time
	return nil
}

func (l *Ledger) applyAccount(ctx context.Context, r *record.Record, id uuid.UUID, key PublicKey) error {
	slot, there, err := l.load(ctx, id, accounts.NoSlot)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !there {
		a := accounts.Account{State: accounts.State{ID: id, Created: r.Time, AsOf: r.Position}, Key: accounts.FirstKey(key)}
		if r.Kind == record.KindGenesis {
			a.Created, a.Funds = record.SeedCreated, l.genesis.Supply
		}
		l.cache.Changed(l.cache.Add(&a))
	} else if l.cache.At(slot).AsOf < r.Position {
		return fmt.Errorf("%w: record %d opens account %s again", store.ErrCorrupt, r.Position, id)
	}
	return l.count(r)
}

// party loads an account that a record names, so that it has to be there.
func (l *Ledger) party(ctx context.Context, r *record.Record, id uuid.UUID, hint uint32) (slot uint32, err error) {
	slot, ok, err := l.load(ctx, id, hint)
	if err == nil && !ok {
		err = fmt.Errorf("%w: record %d names account %s, which is not there", store.ErrCorrupt, r.Position, id)
	}
	return slot, err
}

func (l *Ledger) applyTransfer(ctx context.Context, r *record.Record, hints [2]uint32) error {
	t := &r.Transfer
	from, err := l.party(ctx, r, t.Sender, hints[0])
	if err != nil {
		return err
	}
	to, err := l.party(ctx, r, t.Receiver, hints[1])
	if err != nil {
		return err
	}
	pool := accounts.NoSlot
	if t.Fee > 0 {
		if pool, err = l.party(ctx, r, record.FeeAccount, l.poolSlot); err != nil {
			return err
		}
		l.poolSlot = pool
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.count(r); err != nil {
		return err
	}
	if err := l.follow(from, r, &t.From, -t.Amount-t.Fee); err != nil {
		return err
	}
	if err := l.follow(to, r, &t.To, t.Amount); err != nil {
		return err
	}
	if t.Fee > 0 {
		if err := l.follow(pool, r, &t.Pool, t.Fee); err != nil {
			return err
		}
	}
	if e, ok := keyEntryOf(r); ok {
		l.keys.Put(e)
	}
	return nil
}

// follow applies to an account what a transfer's record did to it.
func (l *Ledger) follow(slot uint32, r *record.Record, p *record.Party, change int64) error {
	if l.cache.At(slot).AsOf >= r.Position {
		return nil
	}
	a := &l.work
	l.cache.Copy(slot, a)
	funds := a.Funds + change
	want := a.Push(r.Position)
	if p.Link != want || p.Funds != funds {
		return fmt.Errorf("%w: record %d leaves account %s with %v, it follows %v", store.ErrCorrupt,
			r.Position, a.ID, *p, record.Party{Link: want, Funds: funds})
	}
	a.Funds = funds
	l.cache.Set(slot, a)
	l.cache.Changed(slot)
	return nil
}

// change applies to an account what a record did to it, unless it is as of that record
// or a later one. The caller holds the lock.
func (l *Ledger) change(slot uint32, r *record.Record, fn func(*accounts.Account) error) error {
	if l.cache.At(slot).AsOf >= r.Position {
		return nil
	}
	a := &l.work
	l.cache.Copy(slot, a)
	if err := fn(a); err != nil {
		return err
	}
	l.cache.Set(slot, a)
	l.cache.Changed(slot)
	return nil
}

func (l *Ledger) applyToken(ctx context.Context, r *record.Record) error {
	t := r.Body.(*record.Token)
	slot, err := l.party(ctx, r, t.Account, accounts.NoSlot)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.count(r); err != nil {
		return err
	}
	err = l.change(slot, r, func(a *accounts.Account) error {
		for _, ref := range a.Issue(refOf(t), t.Time) {
			l.freshTokens.cur[ref.Selector] = accounts.TokenRow{}
		}
		return nil
	})
	if err != nil {
		return err
	}
	l.freshTokens.cur[t.Selector] = accounts.TokenRow{Position: t.Position, Expires: t.Expires}
	return nil
}

func (l *Ledger) applyRevocation(ctx context.Context, r *record.Record) error {
	v := r.Body.(*record.Revocation)
	slot, err := l.party(ctx, r, v.Account, accounts.NoSlot)
	if err != nil {
		return err
	}
	// The row of the account may be without the token already.
	var revoked record.Record
	if err := journal.Read(ctx, l.log, v.Token, &revoked); err != nil {
		return err
	}
	token, ok := revoked.Body.(*record.Token)
	if !ok || token.Account != v.Account {
		return fmt.Errorf("%w: record %d revokes record %d, which is no token of account %s", store.ErrCorrupt,
			r.Position, v.Token, v.Account)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.count(r); err != nil {
		return err
	}
	err = l.change(slot, r, func(a *accounts.Account) error {
		if _, ok := a.Revoke(v.Token, r.Position); !ok {
			return fmt.Errorf("%w: record %d revokes record %d, which is not a live token", store.ErrCorrupt, r.Position, v.Token)
		}
		return nil
	})
	if err != nil {
		return err
	}
	l.freshTokens.cur[token.Selector] = accounts.TokenRow{}
	return nil
}
