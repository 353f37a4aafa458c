package capycoin

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strings"
)

// Lengths, in bytes, of a token and of what is kept of one.
const (
	wireTokenLen = 128
	selectorLen  = 16
	tagLen       = 8
)

const (
	tagDomain  = "capycoin token tag v1\x00"
	hashDomain = "capycoin token hash v1\x00"
)

// wireToken is a token as it was drawn or presented: 128 random bytes. What is kept
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
type wireToken [wireTokenLen]byte

// drawToken fills in a new token.
func drawToken(t *wireToken) { rand.Read(t[:]) } // never fails: it ends the program first

// parseToken reads 256 hexadecimal digits of either case.
func parseToken(text string) (token wireToken, ok bool) {
	var digits [2 * wireTokenLen]byte
	if len(text) != len(digits) {
		return token, false
	}
	copy(digits[:], text)
	_, err := hex.Decode(token[:], digits[:])
	return token, err == nil
}

// text returns the token as its owner sees it: 256 upper-case hexadecimal digits.
func (t *wireToken) text() string { return strings.ToUpper(hex.EncodeToString(t[:])) }

// selector returns what finds the token's record.
func (t *wireToken) selector() [selectorLen]byte { return [selectorLen]byte(t[:]) }

// tag returns what sorts out wrong tokens.
func (t *wireToken) tag() [tagLen]byte {
	sum := t.digest(tagDomain)
	return [tagLen]byte(sum[:])
}

// hasTag says whether the token has a tag, in the same time whatever it has.
func (t *wireToken) hasTag(tag [tagLen]byte) bool {
	own := t.tag()
	return subtle.ConstantTimeCompare(own[:], tag[:]) == 1
}

// bcryptInput returns the 64 bytes that bcrypt hashes in place of the token.
func (t *wireToken) bcryptInput() []byte {
	sum := t.digest(hashDomain)
	return hex.AppendEncode(nil, sum[:])
}

func (t *wireToken) digest(domain string) [sha256.Size]byte {
	var buf [32 + wireTokenLen]byte
	n := copy(buf[:], domain)
	n += copy(buf[n:], t[:])
	return sha256.Sum256(buf[:n])
}
