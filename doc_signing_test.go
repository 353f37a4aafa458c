package capycoin_test

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestSigningDocument holds docs/signing.md to the vectors: the bytes of its examples
// are there, in lines of 16, and its requests are what a client sends.
func TestSigningDocument(t *testing.T) {
	text, err := os.ReadFile("docs/signing.md")
	if err != nil {
		t.Fatal(err)
	}
	document := string(text)
	has := func(what, want string) {
		t.Helper()
		if !strings.Contains(document, want) {
			t.Errorf("docs/signing.md has not the %s:\n%s", what, want)
		}
	}
	block := func(what string, decode func(string) ([]byte, error), encoded string) {
		t.Helper()
		b, err := decode(encoded)
		if err != nil {
			t.Fatal(err)
		}
		var lines strings.Builder
		for line := range slices.Chunk(b, 16) {
			fmt.Fprintf(&lines, "% x\n", line)
		}
		has(what, "```\n"+lines.String()+"```\n")
	}
	v := readVectors(t)
	x, c := v.Transfers[0], v.KeyChanges[0]
	block("seed", hex.DecodeString, x.Seed)
	block("public key", base64.StdEncoding.DecodeString, x.PublicKey)
	block("message", hex.DecodeString, x.Message)
	block("signature", base64.StdEncoding.DecodeString, x.Signature)
	block("message of the change", hex.DecodeString, c.Message)
	has("payment", fmt.Sprintf(`POST /account/%s/transaction
Authorization: Bearer …
Idempotency-Key: %s
Content-Type: application/json

{
  "receiver": "%s",
  "amount": %d,
  "max_fee": %d,
  "not_after": "%s",
  "signature": "%s"
}
`, x.Sender, x.Key, x.Receiver, x.Amount, x.MaxFee, x.NotAfter, x.Signature))
	has("change", fmt.Sprintf(`POST /account/%s/key
Authorization: Bearer …
Content-Type: application/json

{
  "public_key": "%s",
  "key_version": %d,
  "old_signature": "%s",
  "new_signature": "%s"
}
`, c.Account, c.PublicKey, c.KeyVersion, c.OldSignature, c.NewSignature))
	has("result of the program in Python", "It prints `"+x.Signature+"`.")

	// Each row of the tables, from its offset on and as long as it says, is the field.
	key := bytesOf(t, base64.StdEncoding.DecodeString, c.PublicKey, 32)
	at, err := time.Parse(time.RFC3339Nano, x.NotAfter)
	if err != nil {
		t.Fatal(err)
	}
	type field struct{ name, message, value string }
	fields := []field{
		{"`capycoin/transfer/v1` and a line feed", x.Message, plainMessage(t, "capycoin/transfer/v1\n")},
		{"ledger id", x.Message, plainMessage(t, x.Ledger)},
		{"key version", x.Message, plainMessage(t, x.KeyVersion)},
		{"sender", x.Message, plainMessage(t, x.Sender)},
		{"receiver", x.Message, plainMessage(t, x.Receiver)},
		{"amount", x.Message, plainMessage(t, int64(x.Amount))},
		{"max fee", x.Message, plainMessage(t, int64(x.MaxFee))},
		{"not after", x.Message, plainMessage(t, at.UnixMicro())},
		{"length of the key", x.Message, plainMessage(t, uint8(len(x.Key)))},
		{"idempotency key", x.Message, plainMessage(t, x.Key)},
		{"`capycoin/key/v1` and a line feed", c.Message, plainMessage(t, "capycoin/key/v1\n")},
		{"ledger id", c.Message, plainMessage(t, c.Ledger)},
		{"account", c.Message, plainMessage(t, c.Account)},
		{"key version", c.Message, plainMessage(t, c.KeyVersion)},
		{"new public key", c.Message, plainMessage(t, key)},
	}
	rows := regexp.MustCompile(`(?m)^\| (\d+) \| (\d*) ?\| ([^|]+) \|`).FindAllStringSubmatch(document, -1)
	if len(rows) != len(fields) {
		t.Fatalf("docs/signing.md has %d rows of fields, want %d", len(rows), len(fields))
	}
	for i, f := range fields {
		offset, _ := strconv.Atoi(rows[i][1])
		size, _ := strconv.Atoi(cmp.Or(rows[i][2], fmt.Sprint(len(f.value)/2)))
		if end := 2 * (offset + size); rows[i][3] != f.name || end > len(f.message) || f.message[2*offset:end] != f.value {
			t.Errorf("docs/signing.md says %q, where %s is %s", rows[i][0], f.name, f.value)
		}
	}
}
