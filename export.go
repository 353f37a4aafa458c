package capycoin

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/capycoin/capycoin/store"
)

// An export is a journal as lines of JSON (docs/export.md): a header, a line for
// each record, and a trailer. There is one way only to write a journal, so what
// Import takes Export would write again.
// maxLine is more than a line can have: a label takes 4 bytes a character,
// a key two where it is escaped.
const maxLine = 4096

// Export writes a journal as lines of JSON: all that it has when it is first
// asked. [Import] makes the same journal of them.
func Export(ctx context.Context, w io.Writer, from JournalSource) error {
	var r record
	var lines []byte
	sum := sha256.New()
	var end exportEnd
	for position := uint64(0); position == 0 || position < end.records; {
		page, err := from(ctx, position)
		if err != nil {
			return err
		}
		if len(page.Records) == 0 {
			return fmt.Errorf("%w: record %d is missing", store.ErrCorrupt, position+1)
		}
		lines = lines[:0]
		for _, data := range page.Records {
			if position > 0 && position == end.records {
				break // it came later
			}
			position++
			if err := decodeRecord(&r, position, data.Data); err != nil {
				return err
			}
			if position == 1 {
				if r.kind != kindGenesis {
					return fmt.Errorf("%w: record 1 is of kind %d, not a genesis", store.ErrCorrupt, r.kind)
				}
				end.records = page.End
				lines = appendHeaderLine(lines, exportHeader{r.body.(*genesisRecord).ledger, end.records})
			}
			lines = appendLine(lines, &r)
			sum.Write(data.Data)
		}
		if position == end.records {
			sum.Sum(end.sum[:0])
			lines = appendTrailerLine(lines, end)
		}
		if _, err := w.Write(lines); err != nil {
			return fmt.Errorf("writing the export: %w", err)
		}
	}
	return nil
}

// Import makes the file of a ledger from what [Export] wrote, as [Restore] makes
// it from a backup: see [Build]. What is not as Export writes it, or cut off, is
// [ErrBadExport], which names the line. It begins anew each time.
func Import(ctx context.Context, r io.Reader, path string, opts *BuildOptions) (BuildReport, error) {
	lines := newExportReader(r)
	return build(ctx, path, lines.page, false, withWitness(path, opts))
}

// exportReader reads an export. Its page is a [JournalSource] that has to be
// asked for each page in order.
type exportReader struct {
	lines   *bufio.Reader
	line    int
	header  exportHeader
	next    uint64
	sum     hash.Hash
	scratch record
	decoded record
}

func newExportReader(r io.Reader) *exportReader {
	return &exportReader{lines: bufio.NewReaderSize(r, maxLine), next: 1, sum: sha256.New()}
}

func (e *exportReader) page(ctx context.Context, after uint64) (page JournalPage, err error) {
	if after+1 != e.next {
		return page, fmt.Errorf("an export is read in order: record %d is next, not %d", e.next, after+1)
	}
	if err := ctx.Err(); err != nil {
		return page, err
	}
	if e.line == 0 {
		line, err := e.read()
		if err != nil {
			return page, err
		}
		if e.header, err = readHeaderLine(line); err != nil {
			return page, e.bad("%v", err)
		}
	}
	page.End = e.header.records
	for size := 0; size < journalBytes && e.next <= e.header.records; {
		data, err := e.record()
		if err != nil {
			return page, err
		}
		page.Records = append(page.Records, JournalRecord{e.next, data})
		size += len(data)
		e.next++
	}
	if e.next > e.header.records && len(page.Records) > 0 {
		return page, e.end()
	}
	return page, nil
}

// record reads the line of the next record.
func (e *exportReader) record() ([]byte, error) {
	r := &e.scratch
	line, err := e.read()
	if err != nil {
		return nil, err
	}
	if err := readLine(line, r); err != nil {
		return nil, e.bad("%v", err)
	}
	if r.position != e.next {
		return nil, e.bad("it has record %d, record %d comes next", r.position, e.next)
	}
	if (r.kind == kindGenesis) != (r.position == 1) {
		return nil, e.bad("record 1 is the genesis, and no other one is")
	}
	if r.kind == kindGenesis && r.body.(*genesisRecord).ledger != e.header.ledger {
		return nil, e.bad("it is of ledger %s, the header says %s", r.body.(*genesisRecord).ledger, e.header.ledger)
	}
	data := appendRecord(nil, r)
	if err := decodeRecord(&e.decoded, r.position, data); err != nil {
		return nil, e.bad("its fields do not make a record: %v", err)
	}
	e.sum.Write(data)
	return data, nil
}

// end reads the trailer, after which there is nothing.
func (e *exportReader) end() error {
	line, err := e.read()
	if err != nil {
		return err
	}
	end, err := readTrailerLine(line)
	if err != nil {
		return e.bad("%v", err)
	}
	if end.records != e.header.records {
		return e.bad("it counts %d records, the header %d", end.records, e.header.records)
	}
	if sum := e.sum.Sum(nil); !bytes.Equal(sum, end.sum[:]) {
		return e.bad("the records have SHA-256 %x, it says %x", sum, end.sum)
	}
	if _, err := e.lines.Peek(1); err == nil {
		e.line++
		return e.bad("it comes after the last one")
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// read reads a line, which is there until the next one is read.
func (e *exportReader) read() ([]byte, error) {
	e.line++
	line, err := e.lines.ReadSlice('\n')
	switch {
	case errors.Is(err, io.EOF) && len(line) == 0:
		return nil, e.bad("it is missing: the export is cut off")
	case errors.Is(err, io.EOF):
		return nil, e.bad("it does not end: the export is cut off")
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, e.bad("it has more than %d bytes", maxLine)
	case err != nil:
		return nil, fmt.Errorf("reading line %d: %w", e.line, err)
	}
	return line, nil
}

func (e *exportReader) bad(format string, args ...any) error {
	return fmt.Errorf("%w: line %d: %s", ErrBadExport, e.line, fmt.Sprintf(format, args...))
}
