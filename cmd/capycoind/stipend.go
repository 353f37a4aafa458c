package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

const (
	maxStipend   = 100 // the original's
	stipendBatch = 1000
)

func newStipend(s *settings) *cobra.Command {
	var key string
	cmd := &cobra.Command{
		Use:   "stipend MINIMUM AMOUNT",
		Short: "Pay from the seed account to every account that has little",
		Long: "stipend pays AMOUNT, at most 100, from the seed account to every other account\n" +
			"whose funds are MINIMUM or less, and stops at the first shortage. With --key a\n" +
			"run that is repeated pays nobody twice.",
		Args: arguments("MINIMUM", "AMOUNT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			minimum, err := wholeNumber("MINIMUM", args[0], 0, maxCoins)
			if err != nil {
				return err
			}
			amount, err := wholeNumber("AMOUNT", args[1], 1, maxStipend)
			if err != nil {
				return err
			}
			// Each account's payment has a key of its own: key, colon, id.
			if most := 255 - 37; len(key) > most {
				return fmt.Errorf("--key has %d characters; here it has at most %d", len(key), most)
			}
			r, err := stipend(newClient(cmd, s), newProgress(cmd, s), minimum, amount, key)
			if r == nil {
				return err
			}
			if s.json {
				b, bad := json.Marshal(r)
				cmd.Println(string(b))
				return errors.Join(err, bad)
			}
			cmd.Printf("found %d, paid %d", r.Found, r.Paid)
			if r.Repeated > 0 {
				cmd.Printf(", had already paid %d", r.Repeated)
			}
			cmd.Println()
			return err
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "pay each account once under this `key`, however often this is run")
	return withJSON(cmd, s)
}

// stipendReport is what a run found and did.
type stipendReport struct {
	Found    int `json:"found"`    // accounts that have little
	Paid     int `json:"paid"`     // by this run
	Repeated int `json:"repeated"` // by an earlier one, under the same key
}

// stipend finds the accounts first and pays them then. The report is nil only
// if nothing was paid because the accounts could not be read.
func stipend(c *client, p *progress, minimum, amount int64, key string) (*stipendReport, error) {
	var seed string
	var payments []payment
	seen := 0
	err := c.accounts(1000, func(page []account) (bool, error) {
		for _, a := range page {
			switch {
			case seed == "":
				seed = a.ID
			case a.Funds <= minimum:
				pay := payment{Sender: seed, Receiver: a.ID, Amount: amount}
				if key != "" {
					pay.Key = key + ":" + a.ID
				}
				payments = append(payments, pay)
			}
		}
		seen += len(page)
		p.show("looked at %d accounts", seen)
		return true, nil
	})
	defer p.end()
	if err != nil {
		return nil, err
	}
	r := &stipendReport{Found: len(payments)}
	for len(payments) > 0 {
		batch := payments[:min(stipendBatch, len(payments))]
		payments = payments[len(batch):]
		var answer struct {
			Transactions []struct {
				Code, Detail string
				Replayed     bool
			}
		}
		if _, err := c.ask("POST", "/transactions", "", map[string]any{"transactions": batch}, &answer); err != nil {
			return r, fmt.Errorf("paying: %w", err)
		}
		for i, t := range answer.Transactions {
			switch {
			case t.Code == "insufficient_funds":
				// All ask for the same, so what comes after is short as well.
				return r, errors.New("stopped: the seed account has not enough funds for more")
			case t.Code != "":
				return r, fmt.Errorf("stopped at account %s: %w", batch[i].Receiver, &refusal{t.Code, t.Detail})
			case t.Replayed:
				r.Repeated++
			default:
				r.Paid++
			}
		}
		p.show("paid %d of %d", r.Paid+r.Repeated, r.Found)
	}
	return r, nil
}
