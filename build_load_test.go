package capycoin_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

// TestBackupUnderLoad makes backups one after the other while transfers are
// made. Each is whole, and they leave the file as small as it would be without
// them.
func TestBackupUnderLoad(t *testing.T) {
	const batches = 80
	plain, _ := growth(t, batches, nil)
	dir := t.TempDir()
	beside, free := growth(t, batches, func(led *capycoin.Ledger, _ uuid.UUID, done <-chan struct{}) {
		for n := 0; ; n++ {
			select {
			case <-done:
				if n < 2 {
					t.Errorf("only %d backups were made meanwhile", n)
				}
				return
			default:
				rep, err := led.Backup(context.Background(), filepath.Join(dir, fmt.Sprint(n)), nil)
				if err != nil || rep.Audit.Records != rep.Supply.Position {
					t.Errorf("%+v, %v", rep, err)
					return
				}
			}
		}
	})
	t.Logf("bytes a transfer: %.0f without backups, %.0f with; %d free pages", plain, beside, free)
	if beside > 1.5*plain+20 {
		t.Errorf("the file grew by %.0f bytes a transfer under backups, %.0f without", beside, plain)
	}
}
