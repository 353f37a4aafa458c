package secret

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strings"
)

// Lengths, in bytes, of a token and of what is kept of one.
const (
	tokenLen    = 128
	SelectorLen = 16
	TagLen      = 8
)

const (
	tagDomain  = "capycoin token tag v1\x00"
	hashDomain = "capycoin token hash v1\x00"
)

// Token is a token as it was drawn or presented: 128 random bytes. What is kept
// of it:
//
//	selector  16 bytes  the token's first 16 bytes: finds the record
//	tag        8 bytes  the first 8 of SHA-256("capycoin token tag v1\x00" ‖ token)
//	hash      60 bytes  bcrypt of the 64 lower-case hexadecimal digits of
//	                    SHA-256("capycoin token hash v1\x00" ‖ token)
//
// bcrypt reads 72 bytes at most, so it is given a digest of the whole token.
// The tag sorts out a wrong token for the price of one SHA-256: a guess passes
// it once in 2^64 times, so only the owner's token ever costs a bcrypt. It
// tells nobody the 112 bytes behind the selector: 2^832 of them share a tag.
type Token [tokenLen]byte

// drawToken fills in a new token.
func drawToken(t *Token) { rand.Read(t[:]) } // never fails: it ends the program first

// ParseToken reads 256 hexadecimal digits of either case.
func ParseToken(text string) (token Token, ok bool) {
	var digits [2 * tokenLen]byte
	if len(text) != len(digits) {
		return token, false
	}
	copy(digits[:], text)
	_, err := hex.Decode(token[:], digits[:])
	return token, err == nil
}

// Text returns the token as its owner sees it: 256 upper-case hexadecimal digits.
func (t *Token) Text() string { return strings.ToUpper(hex.EncodeToString(t[:])) }

// Selector returns what finds the token's record.
func (t *Token) Selector() [SelectorLen]byte { return [SelectorLen]byte(t[:]) }

// Tag returns what sorts out wrong tokens.
func (t *Token) Tag() [TagLen]byte {
	sum := t.digest(tagDomain)
	return [TagLen]byte(sum[:])
}

// HasTag says whether the token has a tag, in the same time whatever it has.
func (t *Token) HasTag(tag [TagLen]byte) bool {
	own := t.Tag()
	return subtle.ConstantTimeCompare(own[:], tag[:]) == 1
}

// bcryptInput returns the 64 bytes that bcrypt hashes in place of the token.
func (t *Token) bcryptInput() []byte {
	sum := t.digest(hashDomain)
	return hex.AppendEncode(nil, sum[:])
}

func (t *Token) digest(domain string) [sha256.Size]byte {
	var buf [32 + tokenLen]byte
	n := copy(buf[:], domain)
	n += copy(buf[n:], t[:])
	return sha256.Sum256(buf[:n])
}
