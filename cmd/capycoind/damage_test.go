package main

import (
	"bytes"
	"os"

	bolt "go.etcd.io/bbolt"
)

// damageMain damages a file for scripts: damage FILE BUCKET changes some bits of
// the last row of a bucket. It does so twice, as the commit before would have it
// whole.
func damageMain() {
	db, err := bolt.Open(os.Args[1], 0o600, nil)
	check(err)
	for range 2 {
		check(db.Update(func(tx *bolt.Tx) error {
			b := tx.Bucket([]byte(os.Args[2]))
			k, v := b.Cursor().Last()
			k, v = bytes.Clone(k), bytes.Clone(v)
			v[len(v)-1] += 3
			v[len(v)-5] += 7
			return b.Put(k, v)
		}))
	}
	check(db.Close())
}
