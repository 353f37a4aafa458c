package record

import (
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// maxLabelRunes is how many characters a label has at most.
const maxLabelRunes = 64

// ErrBadLabel: the label is not UTF-8, has a control character, or more than 64
// characters.
var ErrBadLabel = errors.New("capycoin: a label has at most 64 characters, none of them a control character")

// CheckLabel returns an error that wraps errBadLabel and says what is wrong.
func CheckLabel(label string) error {
	if !utf8.ValidString(label) {
		return fmt.Errorf("%w: it is not UTF-8", ErrBadLabel)
	}
	if n := utf8.RuneCountInString(label); n > maxLabelRunes {
		return fmt.Errorf("%w: it has %d", ErrBadLabel, n)
	}
	for at, r := range label {
		if unicode.IsControl(r) {
			return fmt.Errorf("%w: it has %U at byte %d", ErrBadLabel, r, at)
		}
	}
	return nil
}
