// Command embed is a shop's points program that lives inside the shop's own
// service: customers earn points with their orders, spend them, and get a
// statement. There is no server and no database beside the service, only a
// file.
//
//	go run ./examples/embed
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

func main() {
	dir, err := os.MkdirTemp("", "capycoin-embed-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := run(context.Background(), filepath.Join(dir, "points.db"), time.Now, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run is a few days in the life of the shop.
func run(ctx context.Context, path string, clock func() time.Time, out io.Writer) (err error) {
	shop, err := openPoints(path, clock)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shop.Close()) }()

	ada, err := shop.SignUp(ctx)
	if err != nil {
		return err
	}
	// The till of order 1002 lost the answer and sends it again: the same order
	// number, so the points come once.
	for _, order := range []struct {
		number string
		cents  int64
	}{{"1001", 1250}, {"1002", 3999}, {"1002", 3999}} {
		points, err := shop.Earn(ctx, ada, order.number, order.cents)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "order %s: Ada has %d points\n", order.number, points)
	}

	if _, err := shop.Spend(ctx, ada, "mug-1", 60); err != nil {
		fmt.Fprintln(out, "a mug:", err)
	}
	points, err := shop.Spend(ctx, ada, "coffee-1", 30)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "a coffee: Ada has %d points\n", points)

	fmt.Fprintln(out)
	return shop.Statement(ctx, ada, out)
}

// Points is the points program. Its ledger's seed account is the shop: points
// come from there and go back there.
type Points struct {
	led  *capycoin.Ledger
	shop uuid.UUID
}

// openPoints opens the points program in the file at path, or begins one with
// ten million points.
func openPoints(path string, clock func() time.Time) (*Points, error) {
	led, err := capycoin.Open(path, &capycoin.Options{Supply: 10_000_000, Clock: clock})
	if err != nil {
		return nil, err
	}
	return &Points{led: led, shop: capycoin.DefaultSeedAccount()}, nil
}

// Close closes the points program's file.
func (p *Points) Close() error { return p.led.Close() }

// SignUp makes a customer a member. The id belongs into the customer's row in
// the shop's own database: it is all that the shop has to remember.
func (p *Points) SignUp(ctx context.Context) (uuid.UUID, error) {
	acct, err := p.led.OpenAccount(ctx)
	return acct.ID, err
}

// Earn gives a member one point for each whole coin of 100 cents paid, once for
// each order, however often it is called. It returns the member's points.
func (p *Points) Earn(ctx context.Context, member uuid.UUID, order string, cents int64) (capycoin.Coins, error) {
	earned := capycoin.Coins(cents / 100)
	if earned == 0 {
		return p.Balance(ctx, member)
	}
	_, err := p.led.Transfer(ctx, capycoin.Transfer{
		Sender:   p.shop,
		Receiver: member,
		Amount:   earned,
		Key:      "order-" + order,
	})
	if err != nil {
		return 0, fmt.Errorf("points for order %s: %w", order, err)
	}
	return p.Balance(ctx, member)
}

// Spend takes points from a member, once for each redemption. A member who has
// too few is told how many are missing.
func (p *Points) Spend(ctx context.Context, member uuid.UUID, redemption string, points capycoin.Coins) (capycoin.Coins, error) {
	receipt, err := p.led.Transfer(ctx, capycoin.Transfer{
		Sender:   member,
		Receiver: p.shop,
		Amount:   points,
		Key:      redemption,
	})
	var short *capycoin.InsufficientFundsError
	if errors.As(err, &short) {
		return short.Funds, fmt.Errorf("%d points are missing", short.Required-short.Funds)
	}
	return receipt.SenderFunds, err
}

// Balance returns the points of a member.
func (p *Points) Balance(ctx context.Context, member uuid.UUID) (capycoin.Coins, error) {
	acct, err := p.led.Account(ctx, member)
	return acct.Funds, err
}

// Statement writes what a member earned and spent, with the points left after
// each. For which order or redemption is in the key.
func (p *Points) Statement(ctx context.Context, member uuid.UUID, out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "DATE\tFOR\tPOINTS\tLEFT")
	for tx, err := range p.led.Transactions(ctx, member, capycoin.Range{}) {
		if err != nil {
			return err
		}
		points := tx.Amount
		if tx.Sender == member {
			points = -points
		}
		fmt.Fprintf(w, "%s\t%s\t%+d\t%d\n", tx.Timestamp.Format(time.DateOnly), tx.Key, points, tx.FundsAfter)
	}
	return w.Flush()
}
