package capycoin

import (
	"context"
	"slices"

	"github.com/capycoin/capycoin/internal/wire"
	"github.com/capycoin/capycoin/store"
)

// stageKeys writes parts of the sweep's run, with about n keys, and returns
// how many there were.
func (l *Ledger) stageKeys(n int) (staged int) {
	f := &l.folder
	for staged < n && f.part < wire.FoldParts {
		entries := l.keys.old.parts[f.part].entries(f.keys[:0])
		slices.SortFunc(entries, keyEntry.compare)
		f.putKeys(f.run, entries)
		f.run.filters[f.part] = newKeyFilter(entries)
		f.keys = entries
		staged += len(entries)
		f.part++
	}
	return staged
}

// keyMerge makes one run of several of the level below, a part at a time: in one
// step with a part of the new run the same part of the others goes. So a merge
// that was cut short is found in the rows, and goes on.
type keyMerge struct {
	into   *keyRun
	from   []*keyRun
	credit int // how many keys it may move
	part   int // the next one

	settled int // parts that are known to have moved; those from here to part were handed over
}

// findMerges returns merges that were begun, or are due, of levels that are not
// being merged.
func (k *keyIndex) findMerges(going []*keyMerge) (found []*keyMerge) {
	var busy [256]bool
	making := make(map[*keyRun]bool)
	for _, m := range going {
		busy[m.into.level-1], making[m.into] = true, true
	}
	for _, into := range k.runs {
		if making[into] {
			continue
		}
		m := &keyMerge{into: into}
		for _, run := range k.runs {
			if run.level+1 == into.level && run.number <= into.number {
				m.from = append(m.from, run)
			}
		}
		if len(m.from) > 0 {
			found = append(found, m)
			busy[into.level-1], making[into] = true, true
		}
	}
	var levels [256][]*keyRun
	for _, run := range k.runs {
		if !making[run] {
			levels[run.level] = append(levels[run.level], run)
		}
	}
	for level, from := range levels[:255] {
		if busy[level] || len(from) < mergeRuns {
			continue
		}
		into := &keyRun{level: byte(level + 1)}
		for _, run := range from {
			into.number = max(into.number, run.number)
		}
		for part := range into.filters {
			into.filters[part] = keyFilter{}
		}
		found = append(found, &keyMerge{into: into, from: from})
	}
	return found
}

// mergePace is how many keys of a level are merged for each record committed. A
// key is merged once on its way through a level, and merges rest during sweeps,
// a third of the time: so it is twice what it takes to keep up, and the commits
// that merge are not much larger than the others.
const mergePace = 3

// stageMerges goes on with the merges of all levels.
func (l *Ledger) stageMerges(ctx context.Context, records int) error {
	f, k := &l.folder, &l.keys
	if !k.tidy {
		found := k.findMerges(f.merges)
		l.mu.Lock()
		for _, m := range found {
			if !slices.Contains(k.runs, m.into) {
				k.add(m.into)
			}
		}
		l.mu.Unlock()
		f.merges = append(f.merges, found...)
		k.tidy = true
	}
	if len(f.merges) == 0 {
		return nil
	}
	for _, m := range f.merges {
		for m.credit += mergePace * records; m.credit > 0 && m.part < wire.FoldParts; m.part++ {
			rows := len(f.batch.Rows)
			if err := l.movePart(ctx, m); err != nil {
				if f.batch.Cut(rows); rows > 0 {
					break // those before it can go
				}
				return err
			}
		}
	}
	l.mu.Lock()
	if len(f.batch.Rows) == 0 {
		l.settleMerges()
	} else {
		k.moves++
	}
	l.mu.Unlock()
	return l.handOver(ctx)
}

// movePart makes the rows that move the next part of a merge.
func (l *Ledger) movePart(ctx context.Context, m *keyMerge) error {
	f := &l.folder
	entries := f.keys[:0]
	for _, run := range m.from {
		var rows [][]byte
		var err error
		if entries, rows, err = l.keys.readParts(ctx, run, m.part, 1, entries); err != nil {
			return err
		}
		for _, key := range rows {
			f.batch.Delete(store.TableKeys, key)
		}
	}
	f.keys = entries
	m.credit -= len(entries) + 16
	if len(entries) > 0 {
		slices.SortFunc(entries, keyEntry.compare)
		entries = slices.Compact(entries) // a run that a crash cut short has some again
		f.putKeys(m.into, entries)
		// Folds may write at once, whatever becomes of the commit: so the keys are
		// looked for in both places until it is known where they are.
		m.into.filters[m.part] = newKeyFilter(entries)
	}
	return nil
}

// settleMerges notes what has been moved. The caller holds the lock.
func (l *Ledger) settleMerges() {
	k, f := &l.keys, &l.folder
	done := false
	for _, m := range f.merges {
		for ; m.settled < m.part; m.settled++ {
			for _, run := range m.from {
				run.filters[m.settled] = keyFilter{}
			}
		}
		if m.part == wire.FoldParts {
			k.runs = slices.DeleteFunc(slices.Clone(k.runs), func(run *keyRun) bool { return slices.Contains(m.from, run) })
			done = true
		}
	}
	k.moves += k.moves % 2
	if done {
		f.merges = slices.DeleteFunc(f.merges, func(m *keyMerge) bool { return m.part == wire.FoldParts })
		k.tidy = false
	}
}
