package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	bolt "go.etcd.io/bbolt"
)

// noDisk is below what any disk takes to make bytes durable.
const noDisk = 20 // µs

// diskTime is as long as the disk alone is measured.
const diskTime = 2 * time.Second

// disk measures how long it takes to append a page and sync it.
func (b *bench) disk(ctx context.Context) (r Result, err error) {
	f, err := os.Create(filepath.Join(b.dir, "sync"))
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	page := make([]byte, 4096)
	sync := load{workers: []operation{func() (int, time.Duration, error) {
		start := time.Now()
		_, err := f.Write(page)
		if err == nil {
			err = fdatasync(f)
		}
		return 1, time.Since(start), err
	}}}
	var times latencies
	_, rate, err := sync.run(ctx, min(b.time, diskTime), &times)
	if err != nil {
		return r, fmt.Errorf("appending to a file: %w", err)
	}
	r = Result{Name: "fdatasync", PerSecond: rounded(rate, 1), P50: times.quantile(0.5), P99: times.quantile(0.99)}
	b.step("4 KiB appended and synced: p50 %s µs, p99 %s µs", figure(r.P50), figure(r.P99))
	if warning := diskWarning(r.P50); warning != "" {
		b.step("%s", warning)
	}
	return r, nil
}

// diskWarning is for folders that are in memory, or whose disk does not do
// what it says.
func diskWarning(p50 float64) string {
	if p50 >= noDisk {
		return ""
	}
	return "warning: no disk is that fast: what this measures means nothing for durable transfers; choose a folder on one with --dir"
}

// plainRecord is the length of a transfer's record without a key, in a ledger
// of 1,000 accounts and some age: distances, ordinals and funds grow.
const plainRecord = 75

// rawLog is bbolt with a row for each record, and nothing around it.
type rawLog struct {
	db       *bolt.DB
	value    []byte
	position uint64
}

var rawBucket = []byte("journal")

// raw returns a bbolt file of a name, and makes it, opened as the ledger's
// store opens its own.
func (b *bench) raw(name string) (*rawLog, error) {
	if r := b.raws[name]; r != nil {
		return r, nil
	}
	options := &bolt.Options{FreelistType: bolt.FreelistMapType}
	if strconv.IntSize == 64 && runtime.GOOS != "windows" {
		size := int64(16 << 30) // a variable, as the constant is no int of 32 bits
		options.InitialMmapSize = int(size)
	}
	db, err := bolt.Open(filepath.Join(b.dir, name+".bolt"), 0o600, options)
	if err != nil {
		return nil, err
	}
	b.atEnd = append(b.atEnd, db.Close)
	r := &rawLog{db: db, value: make([]byte, plainRecord)}
	b.raws[name] = r
	return r, db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucket(rawBucket)
		return err
	})
}

// commit appends rows in one transaction.
func (r *rawLog) commit(rows int) error {
	return r.db.Update(func(tx *bolt.Tx) error {
		bucket := tx.Bucket(rawBucket)
		bucket.FillPercent = 1
		for range rows {
			r.position++
			if err := bucket.Put(binary.BigEndian.AppendUint64(nil, r.position), r.value); err != nil {
				return err
			}
		}
		return nil
	})
}

// grow commits until there are so many rows.
func (r *rawLog) grow(ctx context.Context, rows, each int) error {
	for r.position < uint64(rows) {
		if err := errors.Join(ctx.Err(), r.commit(each)); err != nil {
			return err
		}
	}
	return nil
}

// load is the limit of a ledger's case: commits of so many rows.
func (r *rawLog) load(rows int) load {
	return load{workers: []operation{func() (int, time.Duration, error) {
		start := time.Now()
		err := r.commit(rows)
		return rows, time.Since(start), err
	}}}
}
