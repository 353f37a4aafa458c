package secret

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

// An invite's code is 128 random bits, as 26 digits of base32. What the ledger
// keeps of it is SHA-256("capycoin invite v1\x00" ‖ code in upper case), of
// which the first 16 bytes are its selector, among those of tokens. No bcrypt:
// nobody can try 2^128 codes, whatever the hash costs.
const (
	CodeHashLen = sha256.Size
	codeDomain  = "capycoin invite v1\x00"
	codeRandom  = 16 // bytes
)

var codeEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// DrawCode returns the code of a new invite.
func DrawCode() string {
	var random [codeRandom]byte
	rand.Read(random[:]) // never fails: it ends the program first
	return codeEncoding.EncodeToString(random[:])
}

// HashCode returns the hash of a code in either case, false if it is not in
// form.
func HashCode(code string) (hash [CodeHashLen]byte, ok bool) {
	if len(code) != codeEncoding.EncodedLen(codeRandom) {
		return hash, false
	}
	for i := range len(code) {
		if c := code[i]; (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return hash, false
		}
	}
	return sha256.Sum256([]byte(codeDomain + strings.ToUpper(code))), true
}
