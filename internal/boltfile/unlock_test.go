package boltfile

import (
	"reflect"
	"sync"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// TestUnlockNames: bbolt's locks have the names and types that unlockAfterPanic takes for
// granted.
func TestUnlockNames(t *testing.T) {
	db := reflect.TypeOf(bolt.DB{})
	for name, want := range map[string]reflect.Type{
		"rwlock":   reflect.TypeOf(sync.Mutex{}),
		"metalock": reflect.TypeOf(sync.Mutex{}),
		"mmaplock": reflect.TypeOf(sync.RWMutex{}),
	} {
		if f, ok := db.FieldByName(name); !ok || f.Type != want {
			t.Errorf("bbolt's %s is %v, want %v", name, f.Type, want)
		}
	}
}
