package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/capycoin/capycoin"
)

// wallet is an account with a key, at a server that it need not trust with its coins.
type wallet struct {
	base    string
	token   string
	key     ed25519.PrivateKey
	account uuid.UUID
	ledger  uuid.UUID // that the account was opened in
	version uint32    // of the key
}

// openWallet opens an account that nobody can spend from without this key.
func openWallet(ctx context.Context, base string, key ed25519.PrivateKey) (*wallet, error) {
	w := &wallet{base: base, key: key, version: 1}
	var opened struct {
		Account uuid.UUID `json:"account_id"`
		Token   string    `json:"token"`
	}
	request := map[string]publicKey{"public_key": w.publicKey()}
	if err := w.ask(ctx, "POST", "/account", "", request, &opened); err != nil {
		return nil, err
	}
	w.account, w.token = opened.Account, opened.Token
	var err error
	w.ledger, err = w.ledgerID(ctx)
	return w, err
}

// publicKey is a public key as JSON has it: in base64 with padding, as encoding/json
// writes bytes.
type publicKey []byte

func (w *wallet) publicKey() publicKey { return publicKey(w.key.Public().(ed25519.PublicKey)) }

func (w *wallet) ledgerID(ctx context.Context) (uuid.UUID, error) {
	var supply struct {
		LedgerID uuid.UUID `json:"ledger_id"`
	}
	err := w.ask(ctx, "GET", "/supply", "", nil, &supply)
	return supply.LedgerID, err
}

// check makes sure that the account is still in the ledger that it was opened in, and
// has the key that it was opened with. A signature is for one ledger and one version
// of a key, so nothing is lost by not looking; but a payment would be refused, and
// this says why.
func (w *wallet) check(ctx context.Context) error {
	ledger, err := w.ledgerID(ctx)
	if err != nil {
		return err
	}
	if ledger != w.ledger {
		return fmt.Errorf("the server has ledger %s, this account is in %s", ledger, w.ledger)
	}
	var acct struct {
		PublicKey  publicKey `json:"public_key"`
		KeyVersion uint32    `json:"key_version"`
	}
	if err := w.ask(ctx, "GET", "/account/"+w.account.String(), "", nil, &acct); err != nil {
		return err
	}
	if !bytes.Equal(acct.PublicKey, w.publicKey()) || acct.KeyVersion != w.version {
		return fmt.Errorf("the account has another key, of version %d", acct.KeyVersion)
	}
	return nil
}

// payment is the body of a payment.
type payment struct {
	Receiver  uuid.UUID  `json:"receiver"`
	Amount    int64      `json:"amount"`
	MaxFee    *int64     `json:"max_fee,omitempty"`
	NotAfter  *time.Time `json:"not_after,omitempty"`
	Signature []byte     `json:"signature,omitempty"`

	key string // goes into a header
}

// sign makes a payment, which can be made once and within five minutes, for the fee of
// this moment or less.
func (w *wallet) sign(ctx context.Context, to uuid.UUID, amount int64, key string) (payment, error) {
	if err := w.check(ctx); err != nil {
		return payment{}, err
	}
	var price struct {
		Fee int64 `json:"fee"`
	}
	if err := w.ask(ctx, "GET", fmt.Sprintf("/fee?amount=%d", amount), "", nil, &price); err != nil {
		return payment{}, err
	}
	t := capycoin.Transfer{
		Sender: w.account, Receiver: to, Amount: capycoin.Coins(amount), Key: key, MaxFee: new(capycoin.Coins(price.Fee)),
	}
	s, err := capycoin.SignTransfer(w.ledger, w.version, t, time.Now().Add(5*time.Minute), w.key)
	if err != nil {
		return payment{}, err
	}
	return payment{Receiver: to, Amount: amount, MaxFee: &price.Fee, NotAfter: &s.NotAfter, Signature: s.Bytes[:], key: key}, nil
}

// receipt is what the server answers to a payment.
type receipt struct {
	Funds int64 `json:"sender_account_funds"`
	Fee   int64 `json:"fee"`
}

func (w *wallet) send(ctx context.Context, p payment) (r receipt, err error) {
	err = w.ask(ctx, "POST", "/account/"+w.account.String()+"/transaction", p.key, p, &r)
	return r, err
}

// refusal is a problem that the server answers.
type refusal struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

func (r *refusal) Error() string { return r.Code + ": " + r.Detail }

// refused says whether an error is a refusal of this kind.
func refused(err error, code string) bool {
	r := (*refusal)(nil)
	return errors.As(err, &r) && r.Code == code
}

// ask sends a request and reads the answer.
func (w *wallet) ask(ctx context.Context, method, path, key string, body, answer any) error {
	var content bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&content).Encode(body); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, w.base+path, &content)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if w.token != "" {
		req.Header.Set("Authorization", "Bearer "+w.token)
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		r := new(refusal)
		if err := json.NewDecoder(resp.Body).Decode(r); err != nil || r.Code == "" {
			return fmt.Errorf("%s %s: %s", method, path, resp.Status)
		}
		return r
	}
	return json.NewDecoder(resp.Body).Decode(answer)
}
