package copying

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/capycoin/capycoin/internal/journal"
	"github.com/capycoin/capycoin/internal/record"
	"github.com/capycoin/capycoin/store"
)

// An export is a journal as lines of JSON (docs/export.md): a header, a line for
// each record, and a trailer. There is one way only to write a journal, so what
// Import takes Export would write again.

// maxLine is more than a line can have: a label takes 4 bytes a character,
// a key two where it is escaped.
const maxLine = 4096

// Export writes a journal as lines of JSON: all that it has when it is first
// asked. Import makes the same journal of them.
func Export(ctx context.Context, w io.Writer, from journal.Source) error {
	var r record.Record
	var lines []byte
	sum := sha256.New()
	var end record.ExportTrailer
	for position := uint64(0); position == 0 || position < end.Records; {
		page, err := from(ctx, position)
		if err != nil {
			return err
		}
		if len(page.Records) == 0 {
			return fmt.Errorf("%w: record %d is missing", store.ErrCorrupt, position+1)
		}
		lines = lines[:0]
		for _, data := range page.Records {
			if position > 0 && position == end.Records {
				break // it came later
			}
			position++
			if err := record.Decode(&r, position, data.Data); err != nil {
				return err
			}
			if position == 1 {
				if r.Kind != record.KindGenesis {
					return fmt.Errorf("%w: record 1 is of kind %d, not a genesis", store.ErrCorrupt, r.Kind)
				}
				end.Records = page.End
				lines = record.AppendHeaderLine(lines, record.ExportHeader{Ledger: r.Body.(*record.Genesis).Ledger, Records: end.Records})
			}
			lines = record.AppendLine(lines, &r)
			sum.Write(data.Data)
		}
		if position == end.Records {
			sum.Sum(end.Sum[:0])
			lines = record.AppendTrailerLine(lines, end)
		}
		if _, err := w.Write(lines); err != nil {
			return fmt.Errorf("writing the export: %w", err)
		}
	}
	return nil
}

// ErrBadExport: a line is not as Export writes it, or the last ones are missing. No file
// was made.
var ErrBadExport = errors.New("capycoin: not a whole export")

// Import makes a file of what [Export] wrote. It begins anew each time.
func Import(ctx context.Context, r io.Reader, path string, o Options) (Report, error) {
	return build(ctx, path, newExportReader(r).page, false, o)
}

// exportReader reads an export. Its page is a [journal.Source] that has to be
// asked for each page in order.
type exportReader struct {
	lines   *bufio.Reader
	line    int
	header  record.ExportHeader
	next    uint64
	sum     hash.Hash
	scratch record.Record
	decoded record.Record
}

func newExportReader(r io.Reader) *exportReader {
	return &exportReader{lines: bufio.NewReaderSize(r, maxLine), next: 1, sum: sha256.New()}
}

func (e *exportReader) page(ctx context.Context, after uint64) (page journal.Page, err error) {
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
		if e.header, err = record.ReadHeaderLine(line); err != nil {
			return page, e.bad("%v", err)
		}
	}
	page.End = e.header.Records
	for size := 0; size < journal.PageBytes && e.next <= e.header.Records; {
		data, err := e.record()
		if err != nil {
			return page, err
		}
		page.Records = append(page.Records, journal.Raw{Position: e.next, Data: data})
		size += len(data)
		e.next++
	}
	if e.next > e.header.Records && len(page.Records) > 0 {
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
	if err := record.ReadLine(line, r); err != nil {
		return nil, e.bad("%v", err)
	}
	if r.Position != e.next {
		return nil, e.bad("it has record %d, record %d comes next", r.Position, e.next)
	}
	if (r.Kind == record.KindGenesis) != (r.Position == 1) {
		return nil, e.bad("record 1 is the genesis, and no other one is")
	}
	if r.Kind == record.KindGenesis && r.Body.(*record.Genesis).Ledger != e.header.Ledger {
		return nil, e.bad("it is of ledger %s, the header says %s", r.Body.(*record.Genesis).Ledger, e.header.Ledger)
	}
	data := record.Append(nil, r)
	if err := record.Decode(&e.decoded, r.Position, data); err != nil {
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
	end, err := record.ReadTrailerLine(line)
	if err != nil {
		return e.bad("%v", err)
	}
	if end.Records != e.header.Records {
		return e.bad("it counts %d records, the header %d", end.Records, e.header.Records)
	}
	if sum := e.sum.Sum(nil); !bytes.Equal(sum, end.Sum[:]) {
		return e.bad("the records have SHA-256 %x, it says %x", sum, end.Sum)
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
