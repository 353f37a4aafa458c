package keyindex

import (
	"context"
	"slices"

	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

// FreshLen returns how many keys have come since the last sweep began.
func (k *Index) FreshLen() int { return k.fresh.n }

// Put takes in the key of a record that is committed.
func (k *Index) Put(e Entry) { k.fresh.put(e) }

// BeginSweep makes the fresh keys those of a sweep. Its caller keeps readers out.
func (k *Index) BeginSweep() {
	if k.fresh.n > 0 {
		k.old, k.fresh = k.fresh, new(set)
		k.sweep = &Run{Number: k.nextNumber()}
	}
}

// Sweep adds the rows of parts of the sweep's run to a batch, from a part on, with
// about n keys. It returns how many there were, and the next part.
func (k *Index) Sweep(b *wire.Batch, part, n int) (staged, next int) {
	if k.sweep == nil {
		return 0, wire.FoldParts
	}
	for staged < n && part < wire.FoldParts {
		entries := k.old.parts[part].entries(k.entries[:0])
		slices.SortFunc(entries, Entry.Compare)
		k.putRows(b, k.sweep, entries)
		k.sweep.filters[part] = newFilter(entries)
		k.entries = entries
		staged += len(entries)
		part++
	}
	return staged, part
}

// EndSweep is told that the rows of a sweep are durable. Its caller keeps readers out.
func (k *Index) EndSweep() {
	if k.sweep != nil {
		k.add(k.sweep)
		k.old, k.sweep = nil, nil
		k.moves += 2
	}
}

// merging makes one run of several of the level below, a part at a time: in one
// step with a part of the new run the same part of the others goes. So a merge
// that was cut short is found in the rows, and goes on.
type merging struct {
	into   *Run
	from   []*Run
	credit int // how many keys it may move
	part   int // the next one

	settled int // parts that are known to have moved; those from here to part were handed over
}

// findMerges returns merges that were begun, or are due, of levels that are not
// being merged.
func (k *Index) findMerges() (found []*merging) {
	var busy [256]bool
	making := make(map[*Run]bool)
	for _, m := range k.merges {
		busy[m.into.level-1], making[m.into] = true, true
	}
	for _, into := range k.runs {
		if making[into] {
			continue
		}
		m := &merging{into: into}
		for _, run := range k.runs {
			if run.level+1 == into.level && run.Number <= into.Number {
				m.from = append(m.from, run)
			}
		}
		if len(m.from) > 0 {
			found = append(found, m)
			busy[into.level-1], making[into] = true, true
		}
	}
	var levels [256][]*Run
	for _, run := range k.runs {
		if !making[run] {
			levels[run.level] = append(levels[run.level], run)
		}
	}
	for level, from := range levels[:255] {
		if busy[level] || len(from) < mergeRuns {
			continue
		}
		into := &Run{level: byte(level + 1)}
		for _, run := range from {
			into.Number = max(into.Number, run.Number)
		}
		for part := range into.filters {
			into.filters[part] = filter{}
		}
		found = append(found, &merging{into: into, from: from})
	}
	return found
}

// mergePace is how many keys of a level are merged for each record committed. A
// key is merged once on its way through a level, and merges rest during sweeps,
// a third of the time: so it is twice what it takes to keep up, and the commits
// that merge are not much larger than the others.
const mergePace = 3

// BeginMerges looks for merges to be made, if there may be some. Its caller keeps readers
// out.
func (k *Index) BeginMerges() {
	found := k.findMerges()
	for _, m := range found {
		if !slices.Contains(k.runs, m.into) {
			k.add(m.into)
		}
	}
	k.merges = append(k.merges, found...)
	k.tidy = true
}

// IsTidy says whether beginMerges would find nothing.
func (k *Index) IsTidy() bool { return k.tidy }

// Merge adds the rows to an empty batch that go on with the merges of all levels, as
// much as goes with a commit of so many records. Then merged has to be called.
func (k *Index) Merge(ctx context.Context, b *wire.Batch, records int) error {
	for _, m := range k.merges {
		for m.credit += mergePace * records; m.credit > 0 && m.part < wire.FoldParts; m.part++ {
			rows := len(b.Rows)
			if err := k.movePart(ctx, b, m); err != nil {
				if b.Cut(rows); rows > 0 {
					break // those before it can go
				}
				return err
			}
		}
	}
	return nil
}

// Merged is told whether merge made rows, which are on their way then: keys may be in
// neither place until settleMerges is called. Its caller keeps readers out.
func (k *Index) Merged(rows bool) {
	switch {
	case len(k.merges) == 0:
	case rows:
		k.moves++
	default:
		k.SettleMerges()
	}
}

// movePart makes the rows that move the next part of a merge.
func (k *Index) movePart(ctx context.Context, b *wire.Batch, m *merging) error {
	entries := k.entries[:0]
	for _, run := range m.from {
		var rows [][]byte
		var err error
		if entries, rows, err = ReadParts(ctx, k.folds, run, m.part, 1, entries); err != nil {
			return err
		}
		for _, key := range rows {
			b.Delete(store.TableKeys, key)
		}
	}
	k.entries = entries
	m.credit -= len(entries) + 16
	if len(entries) > 0 {
		slices.SortFunc(entries, Entry.Compare)
		entries = slices.Compact(entries) // a run that a crash cut short has some again
		k.putRows(b, m.into, entries)
		// Folds may write at once, whatever becomes of the commit: so the keys are
		// looked for in both places until it is known where they are.
		m.into.filters[m.part] = newFilter(entries)
	}
	return nil
}

// SettleMerges notes what has been moved: all rows that were made are durable. Its caller
// keeps readers out.
func (k *Index) SettleMerges() {
	done := false
	for _, m := range k.merges {
		for ; m.settled < m.part; m.settled++ {
			for _, run := range m.from {
				run.filters[m.settled] = filter{}
			}
		}
		if m.part == wire.FoldParts {
			k.runs = slices.DeleteFunc(slices.Clone(k.runs), func(run *Run) bool { return slices.Contains(m.from, run) })
			done = true
		}
	}
	k.moves += k.moves % 2
	if done {
		k.merges = slices.DeleteFunc(k.merges, func(m *merging) bool { return m.part == wire.FoldParts })
		k.tidy = false
	}
}
