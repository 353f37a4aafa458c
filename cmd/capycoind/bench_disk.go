package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	bolt "go.etcd.io/bbolt"
)

// noDisk is below what any disk takes to make bytes durable.
const noDisk = 20 * time.Microsecond

// disk measures how long it takes to append a page and sync it.
func (b *bench) disk(ctx context.Context) (r benchResult, err error) {
	f, err := os.Create(filepath.Join(b.dir, "sync"))
	if err != nil {
		return r, err
	}
	page := make([]byte, 4096)
	sync := load{workers: []func() (int, error){func() (int, error) {
		if _, err := f.Write(page); err != nil {
			return 0, err
		}
		return 1, fdatasync(f)
	}}}
	var times latencies
	_, rate, err := sync.run(ctx, min(b.slice, time.Second), &times)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return r, fmt.Errorf("measuring fdatasync: %w", err)
	}
	r = benchResult{Name: "fdatasync", PerSecond: rate, P50: times.quantile(0.5), P99: times.quantile(0.99)}
	b.progress("fdatasync of a page: p50 %.0f µs, p99 %.0f µs", r.P50, r.P99)
	if r.P50*1000 < float64(noDisk) {
		b.progress("warning: that is no disk; the figures say nothing about durable transfers (see --dir)")
	}
	return r, nil
}

// The lengths of records: of a transfer in a ledger of some age, and with a
// key of 36 bytes.
const (
	plainRecord = 75
	keyedRecord = plainRecord + 36
)

// rawLog is bbolt with a row for each record, and nothing around it.
type rawLog struct {
	db       *bolt.DB
	value    []byte
	position uint64
}

// raw returns a bbolt file with rows of a length, opened as the store opens
// its own.
func (b *bench) raw(length int) (*rawLog, error) {
	if r := b.raws[length]; r != nil {
		return r, nil
	}
	options := &bolt.Options{FreelistType: bolt.FreelistMapType}
	if strconv.IntSize == 64 && runtime.GOOS != "windows" {
		options.InitialMmapSize = 16 << 30
	}
	db, err := bolt.Open(filepath.Join(b.dir, fmt.Sprintf("raw%d.db", length)), 0o600, options)
	if err != nil {
		return nil, err
	}
	b.atEnd = append(b.atEnd, db.Close)
	r := &rawLog{db: db, value: make([]byte, length)}
	b.raws[length] = r
	return r, db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucket([]byte("journal"))
		return err
	})
}

// commit appends rows in one transaction.
func (r *rawLog) commit(rows int) (int, error) {
	return rows, r.db.Update(func(tx *bolt.Tx) error {
		bucket := tx.Bucket([]byte("journal"))
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

// rawLoad is the limit of a ledger's case.
func (b *bench) rawLoad(length, rows int) (load, error) {
	r, err := b.raw(length)
	return load{workers: []func() (int, error){func() (int, error) { return r.commit(rows) }}}, err
}
