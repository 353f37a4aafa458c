package capycoin

import (
	"context"
	"slices"
)

// stageKeys writes parts of the sweep's run, with about n keys, and returns
// how many there were.
func (l *Ledger) stageKeys(n int) (staged int) {
	f := &l.folder
	for staged < n && f.part < foldParts {
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

// keyMerge makes one run of several, a part at a time: in one step with a part
// of the new run the same part of the others goes. So a merge that was cut
// short is found in the rows, and goes on.
type keyMerge struct {
	into   *keyRun
	from   []*keyRun
	part   int       // the next one
	filter keyFilter // of the part before, which has been handed over; or nil
}

// findMerge returns a merge that was begun, or is due; nil if there is none.
func (k *keyIndex) findMerge() *keyMerge {
	for _, into := range k.runs {
		m := &keyMerge{into: into}
		for _, run := range k.runs {
			if run.level+1 == into.level && run.number <= into.number {
				m.from = append(m.from, run)
			}
		}
		if len(m.from) > 0 {
			return m
		}
	}
	var levels [256][]*keyRun
	for _, run := range k.runs {
		if run.level < 255 {
			levels[run.level] = append(levels[run.level], run)
		}
	}
	for level, from := range levels {
		if len(from) < mergeRuns {
			continue
		}
		into := &keyRun{level: byte(level + 1)}
		for _, run := range from {
			into.number = max(into.number, run.number)
		}
		for part := range into.filters {
			into.filters[part] = keyFilter{}
		}
		return &keyMerge{into: into, from: from}
	}
	return nil
}

// mergePace is how many keys are merged for each record committed: more than
// there are levels, so that merges keep up.
const mergePace = 8

// stageMerge moves a part if enough records have been committed since the
// last one.
func (l *Ledger) stageMerge(ctx context.Context, records int) error {
	f, k := &l.folder, &l.keys
	if k.tidy {
		return nil
	}
	if f.merge == nil {
		if f.merge = k.findMerge(); f.merge == nil {
			k.tidy = true
			return nil
		}
		f.credit = 0
		if !slices.Contains(k.runs, f.merge.into) {
			l.mu.Lock()
			k.add(f.merge.into)
			l.mu.Unlock()
		}
	}
	m := f.merge
	for f.credit += mergePace * records; f.credit > 0 && m.part < foldParts && len(f.rows) == 0; m.part++ {
		entries := f.keys[:0]
		for _, run := range m.from {
			var rows [][]byte
			var err error
			if entries, rows, err = k.readParts(ctx, run, m.part, 1, entries); err != nil {
				f.rows = f.rows[:0]
				return err
			}
			for _, key := range rows {
				f.delete(TableKeys, key)
			}
		}
		f.keys = entries
		f.credit -= len(entries) + 16
		if len(entries) == 0 {
			continue
		}
		slices.SortFunc(entries, keyEntry.compare)
		entries = slices.Compact(entries) // a run that a crash cut short has some again
		f.putKeys(m.into, entries)
		m.filter = newKeyFilter(entries)
	}
	if len(f.rows) > 0 {
		l.mu.Lock()
		k.moves++
		l.mu.Unlock()
		return l.handOver(ctx)
	}
	l.settleMerge()
	return nil
}

// settleMerge notes what has been moved. Its caller holds the lock where
// something has.
func (l *Ledger) settleMerge() {
	k, m := &l.keys, l.folder.merge
	if m == nil {
		return
	}
	if m.filter != nil {
		m.into.filters[m.part-1] = m.filter
		for _, run := range m.from {
			run.filters[m.part-1] = keyFilter{}
		}
		m.filter = nil
		k.moves++
	}
	if m.part == foldParts {
		k.runs = slices.DeleteFunc(slices.Clone(k.runs), func(run *keyRun) bool { return slices.Contains(m.from, run) })
		l.folder.merge = nil
	}
}
