package httpapi

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/capycoin/capycoin"
)

// journalEnd is the header with the position of the journal's last record.
const journalEnd = "Journal-End"

// serveJournal answers with records as they lie in the journal, each after its
// length, 4 bytes, big-endian: the one after the position that the query names,
// and those that follow it, a page of them.
func serveJournal(x *exchange) error {
	after := uint64(0)
	if s, ok := x.query["after"]; ok {
		var err error
		if after, err = strconv.ParseUint(s, 10, 62); err != nil {
			return hasToBe("after", "a position, a whole number, 0 or more")
		}
	}
	page, err := x.led.JournalPage(x.r.Context(), after)
	if err != nil {
		return err
	}
	size := 0
	for _, r := range page.Records {
		size += 4 + len(r.Data)
	}
	b := make([]byte, 0, size)
	for _, r := range page.Records {
		b = binary.BigEndian.AppendUint32(b, uint32(len(r.Data)))
		b = append(b, r.Data...)
	}
	x.w.Header().Set(journalEnd, strconv.FormatUint(page.End, 10))
	x.send(http.StatusOK, []string{"application/octet-stream"}, b)
	return nil
}

// ParseJournal reads the answer to GET /journal?after=P: its headers and body.
// The records keep parts of the body.
func ParseJournal(after uint64, header http.Header, body []byte) (capycoin.JournalPage, error) {
	end, err := strconv.ParseUint(header.Get(journalEnd), 10, 62)
	if err != nil {
		return capycoin.JournalPage{}, fmt.Errorf("the header %s is %q, not a position", journalEnd, header.Get(journalEnd))
	}
	page := capycoin.JournalPage{End: end}
	for len(body) > 0 {
		if len(body) < 4 || uint64(binary.BigEndian.Uint32(body)) > uint64(len(body)-4) {
			return capycoin.JournalPage{}, errors.New("the records are cut off")
		}
		n := 4 + int(binary.BigEndian.Uint32(body))
		after++
		page.Records = append(page.Records, capycoin.JournalRecord{Position: after, Data: body[4:n:n]})
		body = body[n:]
	}
	return page, nil
}
