package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// asUser runs a command of capycoind on a server's socket as another user.
func (p *process) asUser(uid uint32, args ...string) (string, error) {
	p.t.Helper()
	binary := filepath.Join(p.dir, "capycoind") // the test's own may be where others can't get
	if _, err := os.Stat(binary); err != nil {
		from, err := exec.LookPath("capycoind")
		if err != nil {
			p.t.Fatal(err)
		}
		copyExecutable(p.t, from, binary)
	}
	cmd := exec.Command(binary, args...)
	cmd.Dir = p.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func copyExecutable(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err == nil {
		_, err = io.Copy(out, in)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestAllowUID uses the socket as several users. By default its mode keeps
// others out; with --allow-uid everybody can connect, and who calls is what
// counts.
func TestAllowUID(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to be several users")
	}
	p := newProcess(t)
	if err := os.Chmod(p.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := p.asUser(1234, "supply")
	if err == nil || !strings.Contains(out, "you may not open capycoin.db.sock") || !strings.Contains(out, "--allow-uid 1234") {
		t.Errorf("without --allow-uid: %v\n%s", err, out)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.end(); err != nil {
		t.Fatal(err)
	}
	p.socket.CloseIdleConnections()

	p.start("--allow-uid", "1233,1234")
	info, err := os.Stat(filepath.Join(p.dir, "capycoin.db.sock"))
	if err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("got the socket %v, %v, want mode 0666", info.Mode(), err)
	}
	for _, uid := range []uint32{0, 1233, 1234} {
		if out, err := p.asUser(uid, "supply"); err != nil {
			t.Errorf("user %d: %v\n%s", uid, err, out)
		}
	}
	for _, uid := range []uint32{1, 1235, 65534} {
		out, err := p.asUser(uid, "grant", seedID[:35]+"f", "1")
		if err == nil || !strings.Contains(out, "error: forbidden: ") || !strings.Contains(out, fmt.Sprintf("--allow-uid %d", uid)) {
			t.Errorf("user %d: %v\n%s", uid, err, out)
		}
		p.logs(fmt.Sprintf(`level=WARN msg="caller refused" .* status=403 .*peer="uid=%d pid=\d+"`, uid))
	}
	p.auditClean()
}

// TestAllowUIDAsAnother: a server that runs as another user than root is for
// that user and root.
func TestAllowUIDAsAnother(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to be several users")
	}
	p := newProcess(t)
	p.cmd.Process.Kill()
	p.end()
	p.socket.CloseIdleConnections()
	files, err := filepath.Glob(filepath.Join(p.dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(files, p.dir) {
		if err := os.Chown(name, 1234, 1234); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.asUser(0, "version"); err != nil { // copies the command
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(p.dir, "capycoind"), "--listen", p.addr, "--bcrypt-cost", "4", "--allow-uid", "1235")
	cmd.Dir = p.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1234, Gid: 1234}}
	p.run(cmd)
	if err := os.Chmod(p.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for uid, want := range map[uint32]bool{0: true, 1234: true, 1235: true, 1236: false} {
		if out, err := p.asUser(uid, "supply"); (err == nil) != want {
			t.Errorf("user %d: %v\n%s", uid, err, out)
		}
	}
}

// TestAuditNotWritable: who may only read a file is told why that is not enough
// for an audit, and what is.
func TestAuditNotWritable(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to be another user")
	}
	p := newProcess(t)
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.end(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(p.dir, "capycoin.db")
	if err := errors.Join(os.Chmod(p.dir, 0o755), os.Chown(file, 1234, 1234), os.Chmod(file, 0o400)); err != nil {
		t.Fatal(err)
	}
	out, err := p.asUser(1234, "audit", "capycoin.db")
	if err == nil || !strings.Contains(out, "not writable") || !strings.Contains(out, "hint: an audit folds what was not folded yet, so it has to write") {
		t.Errorf("got %v\n%s", err, out)
	}
}
