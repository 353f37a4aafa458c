package audit

import (
	"crypto/ed25519"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/record"
)

// signatureCheck is a signature that is to be verified.
type signatureCheck struct {
	position  uint64
	account   uuid.UUID
	key       [ed25519.PublicKeySize]byte
	message   [2]int // where it is in the arena
	signature [ed25519.SignatureSize]byte
	what      string
	bad       bool
}

// signatureChecks are those of a page of the journal, which are made at once, on all
// processors.
type signatureChecks struct {
	list  []signatureCheck
	arena []byte
}

// add notes a signature, of the part of the arena from a byte on.
func (c *signatureChecks) add(r *record.Record, account uuid.UUID, key *[ed25519.PublicKeySize]byte, from int, signature *[ed25519.SignatureSize]byte, what string) {
	c.list = append(c.list, signatureCheck{
		position: r.Position, account: account, key: *key, message: [2]int{from, len(c.arena)}, signature: *signature, what: what,
	})
}

// checkSignatures verifies what was noted.
func (a *auditor) checkSignatures() {
	c := &a.checks
	if len(c.list) == 0 {
		return
	}
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(c.list)) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(c.list); i = int(next.Add(1)) - 1 {
				s := &c.list[i]
				s.bad = !ed25519.Verify(s.key[:], c.arena[s.message[0]:s.message[1]], s.signature[:])
			}
		})
	}
	workers.Wait()
	for i := range c.list {
		if s := &c.list[i]; s.bad {
			a.fault(s.position, s.account, FaultSignature, "%s is not signed by its key", s.what)
		}
	}
	a.report.Signatures += int64(len(c.list))
	c.list, c.arena = c.list[:0], c.arena[:0]
}
