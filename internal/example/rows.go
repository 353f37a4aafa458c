package example

import (
	"github.com/capycoin/capycoin/internal/accounts"
	"github.com/capycoin/capycoin/internal/keyindex"
	"github.com/capycoin/capycoin/internal/wire"
)

// AccountRow is a row of accounts, with its checksum.
func AccountRow(key []byte, opened ...accounts.Account) []byte {
	c, b := accounts.New(16), []byte(nil)
	for i := range opened {
		b = c.AppendAccount(b, c.Add(&opened[i]))
	}
	return wire.AppendRow(nil, key, b)
}

// KeyRow is the value of a row of keys of the first run, with its checksum.
func KeyRow(keys []keyindex.Entry) []byte {
	return wire.AppendRow(nil, KeyRowKey(keys), keyindex.AppendRow(nil, keys))
}

// KeyRowKey is the key of that row.
func KeyRowKey(keys []keyindex.Entry) []byte {
	key := keyindex.RowKey(&keyindex.Run{Number: 1}, keys[len(keys)-1])
	return key[:]
}
