package capycoin

import (
	"context"
	"iter"

	"github.com/capycoin/capycoin/internal/journal"
)

// JournalRecord is a record of the journal, byte for byte as it lies there.
// docs/format.md says what the bytes mean.
type JournalRecord struct {
	Position uint64
	Data     []byte
}

// JournalPage is a part of a journal.
type JournalPage struct {
	Records []JournalRecord // in order, without a gap
	End     uint64          // the position of the journal's last record
}

// JournalSource returns the records that follow a position, in order and from
// the very next one on: as many as it likes, but at least one if there is any.
// [Ledger.JournalPage] is one, [JournalFile.Page] another, and what fetches
// pages from elsewhere can be one, too.
type JournalSource func(ctx context.Context, after uint64) (JournalPage, error)

// JournalPage returns the committed records after a position, about 64 KiB of
// them; none if the journal ends there or before. It does not look into them:
// that is for whoever uses them.
func (l *Ledger) JournalPage(ctx context.Context, after uint64) (JournalPage, error) {
	if err := l.serves(ctx); err != nil {
		return JournalPage{}, err
	}
	page, err := journal.ReadRaw(ctx, l.books.Log(), after, l.books.Position())
	return publicPage(page), l.eng.Failed(err)
}

// Journal lists the committed records after a position, to the end of the
// journal, reading a page at a time. An error ends the listing.
func (l *Ledger) Journal(ctx context.Context, after uint64) iter.Seq2[JournalRecord, error] {
	return func(yield func(JournalRecord, error) bool) {
		for {
			page, err := l.JournalPage(ctx, after)
			if err != nil {
				yield(JournalRecord{}, err)
				return
			}
			if len(page.Records) == 0 {
				return
			}
			for _, r := range page.Records {
				if !yield(r, nil) {
					return
				}
				after = r.Position
			}
		}
	}
}

// publicPage returns a page as the public API has it.
func publicPage(p journal.Page) JournalPage {
	page := JournalPage{End: p.End}
	if len(p.Records) > 0 {
		page.Records = make([]JournalRecord, len(p.Records))
	}
	for i, r := range p.Records {
		page.Records[i] = JournalRecord(r)
	}
	return page
}

// raw returns the source as the rooms below have it.
func (s JournalSource) raw() journal.Source {
	return func(ctx context.Context, after uint64) (journal.Page, error) {
		p, err := s(ctx, after)
		page := journal.Page{Records: make([]journal.Raw, len(p.Records)), End: p.End}
		for i, r := range p.Records {
			page.Records[i] = journal.Raw(r)
		}
		return page, err
	}
}
