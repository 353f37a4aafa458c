package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// client makes one request over and over on one connection. It does no
// more than that takes, as it shares the processors with what it measures.
type client struct {
	conn    net.Conn
	request []byte
	r       *bufio.Reader
	reply   []byte // to the last request
}

// answerTimeout is longer than any answer takes.
const answerTimeout = time.Minute

func newClient(conn net.Conn, request []byte) *client {
	return &client{conn: conn, request: request, r: bufio.NewReaderSize(conn, 64<<10)}
}

var (
	statusOK      = []byte("HTTP/1.1 200 ")
	contentLength = []byte("Content-Length")
)

// do makes the request and reads the answer. Any but 200 is an error.
func (c *client) do() error {
	if err := c.conn.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return err
	}
	if _, err := c.conn.Write(c.request); err != nil {
		return err
	}
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return err
	}
	bad := ""
	if !bytes.HasPrefix(line, statusOK) {
		bad = string(bytes.TrimSpace(line))
	}
	length, err := c.readHeader()
	if err != nil {
		return err
	}
	if cap(c.reply) < length {
		c.reply = make([]byte, length)
	}
	c.reply = c.reply[:length]
	if _, err := io.ReadFull(c.r, c.reply); err != nil {
		return err
	}
	if bad != "" {
		return fmt.Errorf("the answer is %q: %.300s", bad, c.reply)
	}
	return nil
}

// readHeader reads up to the body and returns its length. A body in chunks has
// none, and is not read here.
func (c *client) readHeader() (length int, err error) {
	length = -1
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		name, value, ok := bytes.Cut(bytes.TrimSpace(line), []byte(":"))
		switch {
		case len(name) == 0 && length < 0:
			return 0, fmt.Errorf("the answer has no Content-Length")
		case len(name) == 0:
			return length, nil
		case ok && bytes.EqualFold(name, contentLength):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil || length < 0 {
				return 0, fmt.Errorf("the answer's Content-Length is %q", value)
			}
		}
	}
}
