package command

import (
	"fmt"

	"github.com/spf13/pflag"

	"github.com/capycoin/capycoin"
)

// stipendFlags are the flags about the daily stipend.
type stipendFlags struct {
	on          bool
	window, age int
	cap         int64
}

func (f *stipendFlags) add(flags *pflag.FlagSet) {
	flags.BoolVar(&f.on, "stipend", false, "pay the fees out to active accounts, once each day, UTC")
	flags.IntVar(&f.window, "stipend-window", capycoin.DefaultStipendWindow, "active is who sent a transaction in so many `days`, 1 to 365")
	flags.IntVar(&f.age, "stipend-age", capycoin.DefaultStipendAge, "paid is who was opened so many `days` before the day began, 1 to 365")
	flags.Int64Var(&f.cap, "stipend-cap", 0, "the highest share, in `coins`, 1 to the supply; 0: there is none")
}

// rules returns what the flags say.
func (f *stipendFlags) rules() (capycoin.StipendRules, error) {
	for _, days := range []struct {
		name  string
		value int
	}{{"--stipend-window", f.window}, {"--stipend-age", f.age}} {
		if days.value < 1 || days.value > capycoin.MaxStipendDays {
			return capycoin.StipendRules{}, fmt.Errorf("%s is %d; it has to be 1 to %d", days.name, days.value, capycoin.MaxStipendDays)
		}
	}
	if f.cap < 0 || f.cap > int64(capycoin.MaxSupply) {
		return capycoin.StipendRules{}, fmt.Errorf("--stipend-cap is %d; it has to be 1 to the supply, or 0 for none", f.cap)
	}
	return capycoin.StipendRules{Window: f.window, MinAge: f.age, Cap: capycoin.Coins(f.cap)}, nil
}
