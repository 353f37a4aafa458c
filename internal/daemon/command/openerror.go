package command

import (
	"errors"
	"io/fs"

	"github.com/capycoin/capycoin"
	"github.com/capycoin/capycoin/internal/cli"
)

// openError says what to do about an error of opening the ledger in a file.
func openError(err error, path string) error {
	if back := (*capycoin.RolledBackError)(nil); errors.As(err, &back) {
		return rolledBack(err, back, path)
	}
	for _, h := range []struct {
		err  error
		hint string
	}{
		{capycoin.ErrLocked, "another capycoind serves this file; stop it, or choose another file with --db"},
		{capycoin.ErrSupplyMismatch, "leave --supply out, or choose another file with --db: a supply never changes"},
		{capycoin.ErrSeedKeyMismatch, "leave --seed-key out, or choose another file with --db: the key that the seed account was opened with never changes, the one it has is changed with capycoind rekey"},
		{capycoin.ErrNewerFormat, "use the version of capycoind that wrote the file, or a later one"},
		{capycoin.ErrEmptyFile, "restore a copy; or remove the file if it never was a ledger"},
		{capycoin.ErrNotLedger, "choose another file with --db; of a copy that is not finished, run the command again that makes it"},
		{capycoin.ErrIsDirectory, "name a file in it with --db"},
		{capycoin.ErrDiskFull, "make room on the disk, or raise the quota; nothing was changed"},
		{capycoin.ErrWitness, "it has to be a witness, or no file, where this user can write; --witness names another place"},
		{capycoin.ErrNotWritable, "run this as the user that owns the file and its folder, with the right to write in both"},
		{capycoin.ErrRolledBack, "keep a copy of the file as it is, look at the disk, and run: capycoind repair " + path + "; " + acceptHint(path, "")},
		{capycoin.ErrCorrupt, "keep a copy of the file as it is, look at the disk, and run: capycoind repair " + path},
		{fs.ErrNotExist, "make the folder first"},
	} {
		if errors.Is(err, h.err) {
			return cli.Hint(err, "%s", h.hint)
		}
	}
	return err
}

// rolledBack says what to do about a file that lacks what its witness saw.
func rolledBack(err error, back *capycoin.RolledBackError, path string) error {
	if back.Position == 0 {
		return cli.Hint(err, "put the file back, or mount its disk; to begin a new ledger remove %s", back.Witness)
	}
	return cli.Hint(err, "put the newest file in its place; %s", acceptHint(path, back.Witness))
}

// acceptHint names the command that accepts a file as it is.
func acceptHint(path, witness string) string {
	command := "capycoind repair --accept-rollback "
	if witness != "" && witness != path+".witness" {
		command += "--witness " + witness + " "
	}
	return "to go on with what there is, and without what was paid since: " + command + path
}
