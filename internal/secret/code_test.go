package secret

import (
	"fmt"
	"strings"
	"testing"
)

// TestCodeHash pins what is kept of an invite's code: changing it would end all
// invites.
func TestCodeHash(t *testing.T) {
	const want = "728585b5813cf8d66d9311647126b5f4115bed59fdf5b071a45da8dd5d5b2b04"
	for _, code := range []string{"ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz", "AbcdefghijklmnopqrstuvwxyZ"} {
		if got, ok := HashCode(code); !ok || fmt.Sprintf("%x", got) != want {
			t.Errorf("%s: got %x, %v, want %s", code, got, ok, want)
		}
	}
}

func TestCodeForm(t *testing.T) {
	code := DrawCode()
	if len(code) != 26 || strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" || code == DrawCode() {
		t.Errorf("got %s, want 26 digits of base32, others at each call", code)
	}
	if _, ok := HashCode(code); !ok {
		t.Errorf("%s is not in form", code)
	}
	for _, bad := range []string{"", code[:25], code + "A", "ſ" + code[2:], code[:25] + "\n", "1" + code[1:], "8" + code[1:], "=" + code[1:]} {
		if _, ok := HashCode(bad); ok {
			t.Errorf("%q is in form", bad)
		}
	}
}
