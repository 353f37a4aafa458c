package harness_test

import (
	"testing"
	"time"

	"github.com/capycoin/capycoin/internal/harness"
)

func TestBudget(t *testing.T) {
	t.Setenv(harness.Variable, "")
	if got := harness.Budget(t, time.Second); got != time.Second || harness.Alone() {
		t.Errorf("got %v, want the short one", got)
	}
	t.Setenv(harness.Variable, "90m")
	if got := harness.Budget(t, time.Second); got != 90*time.Minute || !harness.Alone() {
		t.Errorf("got %v, want what the variable says", got)
	}
}
