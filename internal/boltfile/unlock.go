package boltfile

import (
	"reflect"
	"sync"

	bolt "go.etcd.io/bbolt"
)

// unlockAfterPanic unlocks what bbolt holds when it has panicked while it began a
// transaction. There is no other way to a store that can be closed: to abandon it leaves
// those waiting for ever who came before. These names are private to bbolt; a test says
// when they are others.
func unlockAfterPanic(db *bolt.DB, writable bool) {
	locks := reflect.ValueOf(db).Elem()
	if writable {
		(*sync.Mutex)(locks.FieldByName("rwlock").Addr().UnsafePointer()).Unlock()
		return
	}
	(*sync.RWMutex)(locks.FieldByName("mmaplock").Addr().UnsafePointer()).RUnlock()
	(*sync.Mutex)(locks.FieldByName("metalock").Addr().UnsafePointer()).Unlock()
}
