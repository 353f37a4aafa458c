package capycoin

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/chain"
	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

const (
	// replayPage is how many records are read in one View while replaying.
	replayPage = 256
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
	g := &genesisRecord{ledger: ledger, supply: int64(o.Supply), seed: o.SeedAccount, key: o.SeedKey}
	if g.supply == 0 {
		g.supply = int64(DefaultSupply)
	}
	if g.seed == [16]byte{} {
		g.seed = DefaultSeedAccount()
	}
	r := newRecord(1, clockMicros(o.Clock), g)
	return log.Append(ctx, 0, [][]byte{appendRecord(nil, &r)})
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
	if err := l.readRecord(ctx, 1, &l.scratch); err != nil {
		return err
	}
	if l.scratch.kind != kindGenesis {
		return fmt.Errorf("%w: record 1 is of kind %d, not a genesis", store.ErrCorrupt, l.scratch.kind)
	}
	l.genesis = *l.scratch.body.(*genesisRecord)
	if o.Supply != 0 && int64(o.Supply) != l.genesis.supply {
		return fmt.Errorf("%w: it has %d coins, not %d", ErrSupplyMismatch, l.genesis.supply, o.Supply)
	}
	if o.SeedAccount != [16]byte{} && o.SeedAccount != l.genesis.seed {
		return fmt.Errorf("%w: it has %s, not %s", ErrSeedMismatch, l.genesis.seed, o.SeedAccount)
	}
	if !o.SeedKey.IsZero() && o.SeedKey != l.genesis.key {
		has := "none"
		if l.genesis.key != noKey {
			has = PublicKey(l.genesis.key).String()
		}
		return fmt.Errorf("%w: it has %s, not %s", ErrSeedKeyMismatch, has, o.SeedKey)
	}
	l.tail = tail
	if err := l.openWitness(ctx, tail); err != nil {
		return err
	}
	if l.bolt != nil && l.bolt.old == 1 { // its rows can't be read
		if err := l.checkJournal(ctx, tail); err != nil {
			return err
		}
		if err := l.bolt.upgrade(); err != nil {
			return err
		}
	}
	value, err := l.folds.Get(ctx, store.TableState, stateKey)
	if err != nil {
		return err
	}
	if value != nil {
		if l.folder.folded, l.books, err = decodeStateRow(value); err != nil {
			return err
		}
	}
	if err := l.readRules(ctx); err != nil {
		return err
	}
	if err := l.keys.loadRuns(ctx); err != nil {
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
	if l.books.position < tail {
		return fmt.Errorf("%w: the journal ends at record %d, not %d", store.ErrCorrupt, l.books.position, tail)
	}
	if l.bolt != nil { // nothing can be refused any more
		return l.bolt.upgrade()
	}
	return nil
}

// checkJournal makes sure that all records can be read, up to the last one.
func (l *Ledger) checkJournal(ctx context.Context, tail uint64) error {
	page := make([]record, replayPage)
	for position := uint64(0); position < tail; {
		n, err := l.readPage(ctx, position+1, page)
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
	if b.position > l.tail {
		return fmt.Errorf("%w: the rows are as of record %d, the journal ends at %d", store.ErrCorrupt, b.position, l.tail)
	}
	if l.folder.folded < 1 || b.accounts < 1 || uint64(b.accounts)+uint64(b.transactions) > b.position {
		return fmt.Errorf("%w: the rows are folded up to record %d and as of record %d, with %d accounts and %d transactions",
			store.ErrCorrupt, l.folder.folded, b.position, b.accounts, b.transactions)
	}
	if err := l.readRecord(ctx, b.position, r); err != nil {
		return err
	}
	if r.time != b.time {
		return fmt.Errorf("%w: the rows are not of this journal: record %d is of %s in them, and of %s", store.ErrCorrupt,
			b.position, wire.TimeOf(b.time), wire.TimeOf(r.time))
	}
	head := b.opened[len(b.opened)-1]
	if head > b.position {
		return fmt.Errorf("%w: the rows are as of record %d, and name record %d", store.ErrCorrupt, b.position, head)
	}
	if err := l.readRecord(ctx, head, r); err != nil {
		return err
	}
	ordinal := int64(0)
	switch r.kind {
	case kindGenesis:
		ordinal = 1
	case kindAccount:
		ordinal = r.body.(*accountRecord).link.Ordinal
	}
	if ordinal != b.accounts {
		return fmt.Errorf("%w: the rows are not of this journal: record %d does not open account %d", store.ErrCorrupt, head, b.accounts)
	}
	return nil
}

// checkRow makes sure that a row of an account is of records that there are, up
// to a position.
func checkRow(a *account, position uint64) error {
	if a.asOf > position {
		return fmt.Errorf("%w: the row of account %s is as of record %d, the journal ends at %d", store.ErrCorrupt, a.id, a.asOf, position)
	}
	return nil
}

// warm brings all accounts into memory, in order, if there is room and so many
// records are to be replayed that to look for theirs would take longer: that
// takes about ten times as long for an account.
func (l *Ledger) warm(ctx context.Context, records uint64) error {
	if accounts := l.books.accounts; accounts > int64(l.cache.limit) || uint64(accounts) > 8*records {
		return nil
	}
	return wire.ScanRows(ctx, l.folds.Scan, store.TableAccounts, func(key, value []byte) (bad error) {
		damaged := accountsIn(key, value, func(id uuid.UUID, _, state []byte) bool {
			var a *account
			if a, bad = decodeAccount(id, state); bad == nil {
				bad = checkRow(a, l.tail)
			}
			if bad == nil {
				l.cache.add(a)
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
	if l.cache.dirtyN <= l.cache.limit/2 && position-f.folded < replayFold || position < f.retry {
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
	return l.replay(ctx, l.books.position+1, func(uint64) error { return nil })
}

// replay applies the records from a position to the end of the journal, and
// calls between with the last one applied, a page at a time.
func (l *Ledger) replay(ctx context.Context, from uint64, between func(uint64) error) error {
	page := make([]record, replayPage)
	for {
		n, err := l.readPage(ctx, from, page)
		if err != nil {
			return err
		}
		var hints [readAhead][2]uint32
		for i := range page[:n] {
			if i%readAhead == 0 {
				l.warmth += l.cache.prefetch(page[i:min(i+readAhead, n)], &hints)
			}
			if err := l.apply(ctx, &page[i], hints[i%readAhead]); err != nil {
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

// readPage reads the records from a position on, as many as there are and
// page has room for.
func (l *Ledger) readPage(ctx context.Context, from uint64, page []record) (n int, err error) {
	err = l.log.View(ctx, func(r store.LogReader) error {
		var bad error
		err := r.Scan(from, func(position uint64, b []byte) bool {
			if position != from+uint64(n) {
				bad = fmt.Errorf("%w: record %d is missing, %d comes next", store.ErrCorrupt, from+uint64(n), position)
				return false
			}
			if bad = decodeRecord(&page[n], position, b); bad != nil {
				return false
			}
			n++
			return n < len(page)
		})
		return errors.Join(bad, err)
	})
	return n, err
}

// readRecord reads one record that has to be there.
func (l *Ledger) readRecord(ctx context.Context, position uint64, r *record) error {
	return l.log.View(ctx, func(lr store.LogReader) error { return recordAt(lr, position, r) })
}

func recordAt(lr store.LogReader, position uint64, r *record) error {
	b, err := lr.Record(position)
	if err != nil {
		return err
	}
	if b == nil {
		return fmt.Errorf("%w: record %d is missing", store.ErrCorrupt, position)
	}
	return decodeRecord(r, position, b)
}

// load brings an account into the cache; ok is false if there is none. It is
// the writer's.
func (l *Ledger) load(ctx context.Context, id uuid.UUID, hint uint32) (slot uint32, ok bool, err error) {
	if slot, ok := l.cache.findAt(hint, &id); ok {
		return slot, true, nil
	}
	a, err := l.accountRow(ctx, id)
	if err != nil || a == nil {
		return 0, false, err
	}
	if err := checkRow(a, max(l.books.position, l.tail)); err != nil {
		return 0, false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cache.add(a), true, nil
}

// apply brings the effect of a record of the journal into the committed state,
// as one step for readers. What a row already has stays as it is. A record
// that does not follow from the state is damage.
func (l *Ledger) apply(ctx context.Context, r *record, hints [2]uint32) error {
	var err error
	switch r.kind {
	case kindGenesis:
		err = l.applyAccount(ctx, r, l.genesis.seed, r.body.(*genesisRecord).key)
	case kindAccount:
		a := r.body.(*accountRecord)
		err = l.applyAccount(ctx, r, a.id, a.key)
	case kindTransfer:
		err = l.applyTransfer(ctx, r, hints)
	case kindToken:
		err = l.applyToken(ctx, r)
	case kindRevocation:
		err = l.applyRevocation(ctx, r)
	case kindInvite:
		err = l.applyInvite(r)
	case kindInviteEnd:
		err = l.applyInviteEnd(ctx, r)
	case kindKey:
		err = l.applyKey(ctx, r)
	case kindFeePolicy, kindStipend: // an effect on the books only
		l.mu.Lock()
		defer l.mu.Unlock()
		err = l.count(r)
	}
	return err
}

// count brings a record into the books, unless they have it. The caller holds
// the lock.
func (l *Ledger) count(r *record) error {
	b := &l.books
	if r.position <= b.position {
		return nil
	}
	if r.position != b.position+1 || r.time < b.time {
		return fmt.Errorf("%w: record %d of %s follows record %d of %s", store.ErrCorrupt,
			r.position, wire.TimeOf(r.time), b.position, wire.TimeOf(b.time))
	}
	switch r.kind {
	case kindGenesis, kindAccount:
		got := chain.Link{Ordinal: 1}
		if r.kind == kindAccount {
			got = r.body.(*accountRecord).link
		}
		want, opened := chain.Push(b.opened, b.accounts, r.position)
		if got != want {
			return fmt.Errorf("%w: record %d has %+v in the chain of accounts, it follows %+v", store.ErrCorrupt, r.position, got, want)
		}
		b.opened, b.accounts = opened, b.accounts+1
	case kindTransfer:
		if r.transfer.sender == feeAccount {
			if b.unpaid() == 0 || r.transfer.amount != b.stipend.share {
				return fmt.Errorf("%w: record %d takes coins from the fee account, and is no payment of a stipend", store.ErrCorrupt, r.position)
			}
			b.paid++
		}
		b.transactions++
	case kindFeePolicy:
		b.policy = feePolicyOf(r)
	case kindStipend:
		if b.policy == nil || b.unpaid() > 0 || b.stipend != nil && b.stipend.day >= r.body.(*stipendRecord).day {
			return fmt.Errorf("%w: record %d begins a stipend that can't be", store.ErrCorrupt, r.position)
		}
		b.stipend, b.paid = stipendOf(r), 0
	}
	b.position, b.time = r.position, r.time
	return nil
}

func (l *Ledger) applyAccount(ctx context.Context, r *record, id uuid.UUID, key PublicKey) error {
	slot, there, err := l.load(ctx, id, noSlot)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !there {
		a := account{state: state{id: id, created: r.time, asOf: r.position}, key: firstKey(key)}
		if r.kind == kindGenesis {
			a.created, a.funds = seedCreated, l.genesis.supply
		}
		l.cache.changed(l.cache.add(&a))
	} else if l.cache.at(slot).asOf < r.position {
		return fmt.Errorf("%w: record %d opens account %s again", store.ErrCorrupt, r.position, id)
	}
	return l.count(r)
}

// party loads an account that a record names, so that it has to be there.
func (l *Ledger) party(ctx context.Context, r *record, id uuid.UUID, hint uint32) (slot uint32, err error) {
	slot, ok, err := l.load(ctx, id, hint)
	if err == nil && !ok {
		err = fmt.Errorf("%w: record %d names account %s, which is not there", store.ErrCorrupt, r.position, id)
	}
	return slot, err
}

func (l *Ledger) applyTransfer(ctx context.Context, r *record, hints [2]uint32) error {
	t := &r.transfer
	from, err := l.party(ctx, r, t.sender, hints[0])
	if err != nil {
		return err
	}
	to, err := l.party(ctx, r, t.receiver, hints[1])
	if err != nil {
		return err
	}
	pool := noSlot
	if t.fee > 0 {
		if pool, err = l.party(ctx, r, feeAccount, l.poolSlot); err != nil {
			return err
		}
		l.poolSlot = pool
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.count(r); err != nil {
		return err
	}
	if err := l.follow(from, r, &t.from, -t.amount-t.fee); err != nil {
		return err
	}
	if err := l.follow(to, r, &t.to, t.amount); err != nil {
		return err
	}
	if t.fee > 0 {
		if err := l.follow(pool, r, &t.pool, t.fee); err != nil {
			return err
		}
	}
	if e, ok := keyEntryOf(r); ok {
		l.keys.fresh.put(e)
	}
	return nil
}

// follow applies to an account what a transfer's record did to it.
func (l *Ledger) follow(slot uint32, r *record, p *party, change int64) error {
	if l.cache.at(slot).asOf >= r.position {
		return nil
	}
	a := &l.work
	l.cache.account(slot, a)
	funds := a.funds + change
	want := a.push(r.position)
	if p.Link != want || p.funds != funds {
		return fmt.Errorf("%w: record %d leaves account %s with %v, it follows %v", store.ErrCorrupt,
			r.position, a.id, *p, party{want, funds})
	}
	a.funds = funds
	l.cache.set(slot, a)
	l.cache.changed(slot)
	return nil
}

// change applies to an account what a record did to it, unless it is as of that record
// or a later one. The caller holds the lock.
func (l *Ledger) change(slot uint32, r *record, fn func(*account) error) error {
	if l.cache.at(slot).asOf >= r.position {
		return nil
	}
	a := &l.work
	l.cache.account(slot, a)
	if err := fn(a); err != nil {
		return err
	}
	l.cache.set(slot, a)
	l.cache.changed(slot)
	return nil
}

func (l *Ledger) applyToken(ctx context.Context, r *record) error {
	t := r.body.(*tokenRecord)
	slot, err := l.party(ctx, r, t.account, noSlot)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.count(r); err != nil {
		return err
	}
	err = l.change(slot, r, func(a *account) error {
		for _, ref := range a.issued(t) {
			l.freshTokens.cur[ref.selector] = tokenRow{}
		}
		return nil
	})
	if err != nil {
		return err
	}
	l.freshTokens.cur[t.selector] = tokenRow{position: t.position, expires: t.expires}
	return nil
}

func (l *Ledger) applyRevocation(ctx context.Context, r *record) error {
	v := r.body.(*revocationRecord)
	slot, err := l.party(ctx, r, v.account, noSlot)
	if err != nil {
		return err
	}
	// The row of the account may be without the token already.
	var revoked record
	if err := l.readRecord(ctx, v.token, &revoked); err != nil {
		return err
	}
	token, ok := revoked.body.(*tokenRecord)
	if !ok || token.account != v.account {
		return fmt.Errorf("%w: record %d revokes record %d, which is no token of account %s", store.ErrCorrupt,
			r.position, v.token, v.account)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.count(r); err != nil {
		return err
	}
	err = l.change(slot, r, func(a *account) error {
		if _, ok := a.revoked(v.token, r.position); !ok {
			return fmt.Errorf("%w: record %d revokes record %d, which is not a live token", store.ErrCorrupt, r.position, v.token)
		}
		return nil
	})
	if err != nil {
		return err
	}
	l.freshTokens.cur[token.selector] = tokenRow{}
	return nil
}
