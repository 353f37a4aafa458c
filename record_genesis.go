package capycoin

import (
	"crypto/ed25519"
	"encoding/binary"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin/internal/wire"
)

// genesisRecord is the first record of a journal: it makes the whole supply, in the seed
// account, which it opens.
type genesisRecord struct {
	ledger uuid.UUID
	supply int64
	seed   uuid.UUID
	key    [ed25519.PublicKeySize]byte // noKey: the seed account has none
}

func (g *genesisRecord) kind() byte { return kindGenesis }

func (g *genesisRecord) version() byte { return versionWithKey(&g.key) }

func (g *genesisRecord) append(b []byte, _ uint64) []byte {
	b = append(b, g.ledger[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(g.supply))
	b = append(b, g.seed[:]...)
	return appendPublicKey(b, &g.key)
}

func (g *genesisRecord) decode(d *wire.Decoder, h *header, version byte) {
	g.ledger = d.ID()
	g.supply = int64(d.Uint64(maxCoins))
	g.seed = d.ID()
	g.key = decodePublicKey(d, version)
	d.Check(h.position == 1 && g.supply > 0 && g.seed != feeAccount)
}

func (g *genesisRecord) line(c *lineCodec, _ *header) {
	c.id("ledger_id", &g.ledger)
	c.coins("supply", &g.supply, 1)
	c.id("seed_account_id", &g.seed)
	c.publicKey(&g.key)
}
