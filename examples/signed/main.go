// Command signed pays from an account that has a public key: without a signature by
// its owner nobody can, whoever has the account's token or runs the server. It has a
// server of its own, so that there is nothing else to start.
//
//	go run ./examples/signed
package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/httpapi"
)

func main() {
	dir, err := os.MkdirTemp("", "capycoin-signed-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := run(context.Background(), filepath.Join(dir, "coins.db"), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run is the server, and then its client.
func run(ctx context.Context, path string, out io.Writer) (err error) {
	led, err := capycoin.Open(path, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, led.Close()) }()
	if err := led.SetFeePolicy(ctx, capycoin.FeePolicy{Flat: 1}); err != nil {
		return err
	}
	iss, err := capycoin.NewTokenIssuer(led, nil)
	if err != nil {
		return err
	}
	api, err := httpapi.New(led, iss, nil)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: api.Public(), ReadHeaderTimeout: 5 * time.Second}
	go srv.Serve(l)
	defer srv.Close()

	shop, err := led.OpenAccount(ctx)
	if err != nil {
		return err
	}
	welcome := func(id uuid.UUID) error {
		_, err := led.Transfer(ctx, capycoin.Transfer{Sender: capycoin.DefaultSeedAccount(), Receiver: id, Amount: 50})
		return err
	}
	return client(ctx, "http://"+l.Addr().String(), shop.ID, welcome, out)
}

// client opens an account and pays a shop. Welcome is what gives it its first coins.
func client(ctx context.Context, base string, shop uuid.UUID, welcome func(uuid.UUID) error, out io.Writer) error {
	// A real client keeps the key, as capycoind keygen does: without it the coins
	// are out of everybody's reach, for ever.
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	w, err := openWallet(ctx, base, key)
	if err != nil {
		return err
	}
	if err := welcome(w.account); err != nil {
		return err
	}

	p, err := w.sign(ctx, shop, 30, "order-1001")
	if err != nil {
		return err
	}
	r, err := w.send(ctx, p)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "paid 30 and a fee of %d, %d left\n", r.Fee, r.Funds)
	// The answer may get lost. The same request is the same payment.
	if r, err = w.send(ctx, p); err != nil {
		return err
	}
	fmt.Fprintf(out, "sent again: %d left\n", r.Funds)

	// Whoever has the token, and no more, gets nothing.
	unsigned := payment{Receiver: shop, Amount: 10, key: "order-1002"}
	if _, err := w.send(ctx, unsigned); !refused(err, "signature_required") {
		return fmt.Errorf("a payment without a signature: %v", err)
	}
	fmt.Fprintln(out, "without a signature: refused")
	// Nor does who sees a signed payment on its way, and would like a larger one.
	p, err = w.sign(ctx, shop, 1, "order-1003")
	if err != nil {
		return err
	}
	p.Amount = 10
	if _, err := w.send(ctx, p); !refused(err, "invalid_signature") {
		return fmt.Errorf("a payment of another amount than was signed: %v", err)
	}
	fmt.Fprintln(out, "with another amount than was signed: refused")
	return nil
}
