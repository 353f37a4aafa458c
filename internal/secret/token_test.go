package secret

import (
	"fmt"
	"strings"
	"testing"
)

// TestTokenDerivations pins what is kept of a token: changing it would lock
// everybody out.
func TestTokenDerivations(t *testing.T) {
	var token Token
	for n := range token {
		token[n] = byte(n)
	}
	if got, want := fmt.Sprintf("%x", token.Selector()), "000102030405060708090a0b0c0d0e0f"; got != want {
		t.Errorf("selector: got %s, want %s", got, want)
	}
	if got, want := fmt.Sprintf("%x", token.Tag()), "9e3267a8e9affa74"; got != want {
		t.Errorf("tag: got %s, want %s", got, want)
	}
	if got, want := string(token.bcryptInput()), "032c731089b1c37c79c4958b749558c5b0b9d7f053a1f4ffd44f9f979ea6c7c0"; got != want {
		t.Errorf("input of bcrypt: got %s, want %s", got, want)
	}
}

// TestTokenTag changes one byte after the other, of the token and of the tag.
func TestTokenTag(t *testing.T) {
	var token Token
	drawToken(&token)
	tag := token.Tag()
	if !token.HasTag(tag) {
		t.Error("a token has not its tag")
	}
	for at := range token {
		wrong := token
		wrong[at] ^= 1
		if wrong.HasTag(tag) {
			t.Errorf("a token with another byte %d has the tag", at)
		}
	}
	for at := range tag {
		wrong := tag
		wrong[at] ^= 1
		if token.HasTag(wrong) {
			t.Errorf("a token has a tag with another byte %d", at)
		}
	}
}

func TestParseToken(t *testing.T) {
	var token Token
	drawToken(&token)
	text := token.Text()
	if len(text) != 256 || strings.Trim(text, "0123456789ABCDEF") != "" {
		t.Errorf("got %q, want 256 upper-case hexadecimal digits", text)
	}
	for _, good := range []string{text, strings.ToLower(text), strings.ToLower(text[:99]) + text[99:]} {
		if got, ok := ParseToken(good); !ok || got != token {
			t.Errorf("%q: got %x, %v", good, got, ok)
		}
	}
	for _, bad := range []string{
		"", text[:255], text[:254], text + "0", text + "00", text + text, " " + text[1:], text[:255] + "G",
		"0x" + text[:254], text[:254] + "é", text + "\n", strings.Repeat("\xff", 256),
	} {
		if _, ok := ParseToken(bad); ok {
			t.Errorf("%q was taken for a token", bad)
		}
	}
}
