// Package harness is what the tests have in common that look for faults: how
// long they may look, and the counts that docs/reliability.md publishes.
//
// It knows nothing of ledgers. Only tests may call it. It has no locks.
package harness

import (
	"os"
	"testing"
	"time"
)

// Variable is the environment variable that sets how long each of them looks,
// a duration such as 10m. Unset, they look as long as an everyday run of the
// tests allows.
const Variable = "CAPYCOIN_HARNESS"

// Budget returns how long a test may look for faults, short where nothing else
// is asked for.
func Budget(t testing.TB, short time.Duration) time.Duration {
	t.Helper()
	value := os.Getenv(Variable)
	if value == "" {
		return short
	}
	long, err := time.ParseDuration(value)
	if err != nil || long <= 0 {
		t.Fatalf("%s is %q; it has to be a duration such as 10m", Variable, value)
	}
	return long
}

// Alone says whether a test has the machine to itself, and can hold what it
// measures against a limit: in runs that set the variable, one harness runs at a
// time. In others the tests of several packages share the machine.
func Alone() bool { return os.Getenv(Variable) != "" }

// Count reports how often a test did something, such as "kills survived".
// The command for long runs adds them up.
func Count(t testing.TB, what string, n int) {
	t.Helper()
	t.Logf("count: %s: %d", what, n)
}
