package command

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/cli"
)

const (
	maxStipend   = 100 // the original's
	stipendBatch = 1000
	// Each account's payment has a key of its own: the key, a colon, the id.
	maxStipendKey = capycoin.MaxKeyLen - len(":00000000-0000-0000-0000-000000000000")
)

// NewStipend returns the command that pays from the seed account to who has little.
func NewStipend(s *Settings) *cobra.Command {
	var key, signWith string
	cmd := &cobra.Command{
		Use:   "stipend MINIMUM AMOUNT",
		Short: "Pay from the seed account to every account that has little",
		Long: "stipend pays AMOUNT, at most 100, from the seed account to every other account\n" +
			"whose funds are MINIMUM or less, and stops at the first shortage. With --key a\n" +
			"run that is repeated pays nobody twice. The account of the fees gets nothing;\n" +
			"what is in it, stipend-pool pays.",
		Args: cli.Arguments("MINIMUM", "AMOUNT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			minimum, err := cli.WholeNumber("MINIMUM", args[0], 0, int64(capycoin.MaxSupply))
			if err != nil {
				return err
			}
			amount, err := cli.WholeNumber("AMOUNT", args[1], 1, maxStipend)
			if err != nil {
				return err
			}
			if err := checkKey(cmd, key); err != nil {
				return err
			}
			if len(key) > maxStipendKey {
				return fmt.Errorf("--key has %d characters; here it has at most %d, as each account's payment has its id in its key", len(key), maxStipendKey)
			}
			c, p := newClient(cmd, s), s.progress(cmd)
			defer p.End()
			seed, err := c.seed()
			if err != nil {
				return err
			}
			run := &stipend{minimum: minimum, amount: amount, key: key, seed: seed.ID}
			if run.signer, err = c.seedSigner(cmd, &seed, signWith); err != nil {
				return err
			}
			if err := run.find(c, p); err != nil {
				return err
			}
			err = run.pay(c, p)
			p.End()
			return errors.Join(err, run.print(cmd, s.JSON))
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "pay each account once under this `key`, however often this is run")
	signWithFlag(cmd, &signWith)
	return cli.WithJSON(cmd, &s.JSON)
}

// stipend is a run of the command. What it found it pays afterwards, so that a
// shortage can be told in proportion.
type stipend struct {
	minimum, amount int64
	key             string
	seed            string
	signer          *signer // nil: nothing is signed

	found    []uuid.UUID // accounts that have little
	paid     int         // by this run
	repeated int         // by an earlier one, under the same key
}

// find looks through all accounts, a page at a time. One that is opened
// meanwhile may be found or not.
func (r *stipend) find(c *client, p *cli.Progress) error {
	seen := 0
	return c.accounts(capycoin.MaxPage, func(page []account) (bool, error) {
		for _, a := range page {
			if a.ID == r.seed || a.Funds > r.minimum {
				continue
			}
			id, err := uuid.Parse(a.ID)
			if err != nil {
				return false, fmt.Errorf("reading the server's answer: %w", err)
			}
			if id == capycoin.FeeAccount() {
				continue
			}
			r.found = append(r.found, id)
		}
		seen += len(page)
		p.Show("looked at %d accounts", seen)
		return true, nil
	})
}

// pay pays the accounts that were found, many at a time and each alone.
func (r *stipend) pay(c *client, p *cli.Progress) error {
	for rest := r.found; len(rest) > 0; {
		batch := make([]payment, min(stipendBatch, len(rest)))
		for i := range batch {
			id := rest[i].String()
			batch[i] = payment{Sender: r.seed, Receiver: id, Amount: r.amount}
			if r.key != "" {
				batch[i].Key = r.key + ":" + id
			}
			if r.signer == nil {
				continue
			}
			if r.key == "" { // what is signed has one
				batch[i].Key = uuid.NewString()
			}
			if err := r.signer.sign(&batch[i]); err != nil {
				return err
			}
		}
		rest = rest[len(batch):]
		if err := r.payBatch(c, batch); err != nil {
			return err
		}
		p.Show("paid %d of %d", r.paid+r.repeated, len(r.found))
	}
	return nil
}

func (r *stipend) payBatch(c *client, batch []payment) error {
	var answer struct {
		Transactions []struct {
			refusal
			Replayed bool
		}
	}
	if _, err := c.ask("POST", "/transactions", "", map[string]any{"transactions": batch}, &answer); err != nil {
		return fmt.Errorf("stopped: %w", err)
	}
	if len(answer.Transactions) != len(batch) {
		return fmt.Errorf("stopped: the server answered %d payments of %d", len(answer.Transactions), len(batch))
	}
	// A refused one does not touch those after it: they are counted, too.
	var stopped error
	for i, t := range answer.Transactions {
		switch {
		case t.Code == "" && t.Replayed:
			r.repeated++
		case t.Code == "":
			r.paid++
		case stopped != nil:
		case t.Code == "insufficient_funds":
			stopped = fmt.Errorf("stopped: the seed account has not enough funds for more, it has %d", t.Funds)
		default:
			stopped = fmt.Errorf("stopped at account %s: %w", batch[i].Receiver, signError(&t.refusal))
		}
	}
	return stopped
}

// print tells what was found and done.
func (r *stipend) print(cmd *cobra.Command, asJSON bool) error {
	if asJSON {
		b, err := json.Marshal(struct {
			Found    int `json:"found"`
			Paid     int `json:"paid"`
			Repeated int `json:"repeated"`
		}{len(r.found), r.paid, r.repeated})
		cmd.Println(string(b))
		return err
	}
	cmd.Printf("found %d, paid %d", len(r.found), r.paid)
	if r.repeated > 0 {
		cmd.Printf(", had already paid %d", r.repeated)
	}
	cmd.Println()
	return nil
}
