package secret

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain: a flight ends, whatever becomes of those who wait for it.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
