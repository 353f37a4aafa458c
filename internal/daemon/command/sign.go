package command

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/cli"
)

// signedFor is how long after it was signed a payment can be made. It is on its way
// for much less, and a clock may be a little wrong.
const signedFor = 10 * time.Minute

// signWithFlag gives a command that pays from the seed account --sign-with.
func signWithFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVar(path, "sign-with", "", "sign with the private key in this `file`, if the seed account has a key")
}

// signer signs for an account, by the key that it has at the server.
type signer struct {
	ledger  uuid.UUID
	account uuid.UUID
	version uint32
	private ed25519.PrivateKey
	// ahead is by how much the time of the ledger is ahead of this machine's clock.
	ahead time.Duration
}

// seedSigner returns who signs for the seed account, nil if it has no key. Path is
// what --sign-with says.
func (c *client) seedSigner(cmd *cobra.Command, seed *account, path string) (*signer, error) {
	given := cmd.Flags().Changed("sign-with")
	switch {
	case seed.PublicKey == nil && given:
		return nil, cli.Hint(errors.New("the seed account has no public key, so nothing is signed for it"), "leave --sign-with out; a ledger whose seed account has a key is made with: capycoind serve --seed-key")
	case seed.PublicKey == nil:
		return nil, nil
	case !given:
		return nil, cli.Hint(fmt.Errorf("the seed account has the public key %s, so its payments have to be signed", *seed.PublicKey), "name the file with its private key, as capycoind keygen made it: --sign-with FILE")
	}
	private, err := readKeyFile(path)
	if err != nil {
		return nil, err
	}
	return c.signer(seed, path, private)
}

// signer returns who signs for an account that has a key.
func (c *client) signer(a *account, path string, private ed25519.PrivateKey) (*signer, error) {
	if a.PublicKey == nil || a.KeyVersion == nil {
		return nil, cli.Hint(fmt.Errorf("account %s has no public key", a.ID), "only an account that was opened with one has it")
	}
	if mine := publicKeyOf(private).String(); mine != *a.PublicKey {
		return nil, cli.Hint(fmt.Errorf("the key file %s has the public key %s; that of account %s is %s, version %d", path, mine, a.ID, *a.PublicKey, *a.KeyVersion),
			"name the file whose public key that is: capycoind keygen --public FILE shows it")
	}
	var supply struct {
		LedgerID uuid.UUID `json:"ledger_id"`
		Time     time.Time
	}
	if _, err := c.ask("GET", "/supply", "", nil, &supply); err != nil {
		return nil, err
	}
	s := &signer{ledger: supply.LedgerID, version: *a.KeyVersion, private: private, ahead: time.Until(supply.Time)}
	var err error
	s.account, err = uuid.Parse(a.ID)
	return s, err
}

// sign adds to a payment what makes it a signed one. It has a key. Its fee is none:
// the seed account is exempt.
func (s *signer) sign(p *payment) error {
	receiver, err := uuid.Parse(p.Receiver)
	if err != nil {
		return err
	}
	notAfter := time.Now().Add(s.ahead + signedFor).UTC()
	t := capycoin.Transfer{Sender: s.account, Receiver: receiver, Amount: capycoin.Coins(p.Amount), Key: p.Key, MaxFee: new(capycoin.Coins(0))}
	signature, err := capycoin.SignTransfer(s.ledger, s.version, t, notAfter, s.private)
	if err != nil {
		return err
	}
	p.MaxFee = new(int64(0))
	p.NotAfter = signature.NotAfter.UTC().Format(time.RFC3339Nano)
	p.Signature = base64.StdEncoding.EncodeToString(signature.Bytes[:])
	return nil
}

// signError says what to do about a signed payment that was refused.
func signError(err error) error {
	p := (*refusal)(nil)
	if !errors.As(err, &p) {
		return err
	}
	switch p.Code {
	case "invalid_signature", "signature_required":
		return cli.Hint(err, "the seed account's key was changed meanwhile: run this again with the file of the new one")
	case "signature_expired", "signature_too_long":
		return cli.Hint(err, "the time of the ledger has changed by more than %v meanwhile: run this again", signedFor)
	}
	return err
}
