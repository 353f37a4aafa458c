package command

import "testing"

// TestStipendOutcome has the words for what TestStipendPool has not.
func TestStipendOutcome(t *testing.T) {
	at, earlier := uint64(9), uint64(3)
	for _, tt := range []struct {
		now    poolStipend
		before *poolStipend
		want   string
	}{
		{poolStipend{Day: "2026-03-03", Payees: 2}, nil, "nothing is paid for 2026-03-03: the account of the fees has no coins"},
		{poolStipend{Day: "2026-03-03", Payees: 4, Share: 2, Funds: 9, Paid: 3, Position: &at}, nil,
			"begun for 2026-03-03, and not at its end: 2 each, paid to 3 accounts of 4; the next run goes on"},
		{poolStipend{Day: "2026-03-03", Payees: 4, Share: 2, Funds: 9, Paid: 4, Position: &at, Done: true}, &poolStipend{Position: &earlier, Done: true},
			"paid for 2026-03-03: 2 each to 4 accounts, 8 coins; 1 stay"},
		{poolStipend{Day: "2026-03-03", Payees: 4, Share: 2, Funds: 9, Paid: 4, Position: &at, Done: true}, &poolStipend{Position: &at},
			"paid for 2026-03-03: 2 each to 4 accounts, 8 coins; 1 stay"}, // the rest of it
	} {
		if got := tt.now.outcome(tt.before, false); got != tt.want {
			t.Errorf("%+v after %+v: got %q, want %q", tt.now, tt.before, got, tt.want)
		}
	}
}
