package record

import (
	"crypto/ed25519"
	"encoding/binary"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/wire"
)

// KindGenesis is the kind of a [Genesis].
const KindGenesis Kind = 1

// Genesis is the first record of a journal: it makes the whole supply, in the seed
// account, which it opens.
//
//	ledger id 16 · supply 8 · seed account 16 · version 2: its public key 32
//
// It is the first of the chain of accounts.
type Genesis struct {
	Ledger uuid.UUID
	Supply int64
	Seed   uuid.UUID
	Key    [ed25519.PublicKeySize]byte // noKey: the seed account has none
}

func (g *Genesis) Kind() Kind { return KindGenesis }

func (g *Genesis) version() byte { return versionWithKey(&g.Key) }

func (g *Genesis) append(b []byte, _ uint64) []byte {
	b = append(b, g.Ledger[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(g.Supply))
	b = append(b, g.Seed[:]...)
	return appendPublicKey(b, &g.Key)
}

func (g *Genesis) decode(d *wire.Decoder, h *Header, version byte) {
	g.Ledger = d.ID()
	g.Supply = int64(d.Uint64(wire.MaxCoins))
	g.Seed = d.ID()
	g.Key = decodePublicKey(d, version)
	d.Check(h.Position == 1 && g.Supply > 0 && g.Seed != FeeAccount)
}

func (g *Genesis) line(c *lineCodec, _ *Header) {
	c.id("ledger_id", &g.Ledger)
	c.coins("supply", &g.Supply, 1)
	c.id("seed_account_id", &g.Seed)
	c.publicKey(&g.Key)
}
