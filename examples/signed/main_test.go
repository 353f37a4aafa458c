package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// TestRun: the whole story, as it is printed.
func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), filepath.Join(t.TempDir(), "coins.db"), &out); err != nil {
		t.Fatal(err)
	}
	const want = `paid 30 and a fee of 1, 19 left
sent again: 19 left
without a signature: refused
with another amount than was signed: refused
`
	if got := out.String(); got != want {
		t.Errorf("run printed\n%s\nwant\n%s", got, want)
	}
}

// TestCheck: nothing is signed for another ledger than the account was opened in, nor
// by another key or another version of it than the account has.
func TestCheck(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	mine, other := uuid.New(), uuid.New()
	w := &wallet{key: key, account: uuid.New(), ledger: mine, version: 2}
	good := fmt.Sprintf(`{"public_key":%q,"key_version":2}`, base64.StdEncoding.EncodeToString(w.publicKey()))
	for _, tt := range []struct {
		ledger  uuid.UUID
		account string
		want    string
	}{
		{mine, good, ""},
		{other, good, "the server has ledger " + other.String()},
		{mine, strings.Replace(good, ":2", ":3", 1), "another key, of version 3"},
		{mine, fmt.Sprintf(`{"public_key":%q,"key_version":2}`, base64.StdEncoding.EncodeToString(make([]byte, 32))), "another key"},
		{mine, `{"public_key":null,"key_version":null}`, "another key"},
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/supply" {
				fmt.Fprintf(rw, `{"ledger_id":%q}`, tt.ledger)
				return
			}
			fmt.Fprint(rw, tt.account)
		}))
		w.base = srv.URL
		_, err := w.sign(t.Context(), uuid.New(), 1, "key")
		srv.Close()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("ledger %s, account %s: %v, want %q", tt.ledger, tt.account, err, tt.want)
		}
	}
}
