package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/go-sps/sps/spstest"
)

// openTerminal opens a new pseudo terminal, and returns its two ends.
func openTerminal(t *testing.T) (master, terminal *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { master.Close() })
	var number, unlock uint32
	control(t, master, syscall.TIOCSPTLCK, unsafe.Pointer(&unlock))
	control(t, master, syscall.TIOCGPTN, unsafe.Pointer(&number))
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { terminal.Close() })
	return master, terminal
}

// control makes an ioctl call on a file.
func control(t *testing.T, file *os.File, request uintptr, value unsafe.Pointer) {
	t.Helper()
	connection, err := file.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed syscall.Errno
	if err := connection.Control(func(fd uintptr) {
		_, _, failed = syscall.Syscall(syscall.SYS_IOCTL, fd, request, uintptr(value))
	}); err != nil || failed != 0 {
		t.Fatal(err, failed)
	}
}

// echoes reports whether a terminal echoes its input.
func echoes(t *testing.T, terminal *os.File) bool {
	t.Helper()
	var state syscall.Termios
	control(t, terminal, syscall.TCGETS, unsafe.Pointer(&state))
	return state.Lflag&syscall.ECHO != 0
}

// readUntil reads from a terminal until its output contains the text.
func readUntil(t *testing.T, master *os.File, text string) {
	t.Helper()
	if err := master.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var output bytes.Buffer
	buffer := make([]byte, 1024)
	for !strings.Contains(output.String(), text) {
		n, err := master.Read(buffer)
		if output.Write(buffer[:n]); err != nil {
			t.Fatalf("%v after %q", err, output.String())
		}
	}
}

// TestInterruptedPrompt checks that one Ctrl-C at a prompt ends the tool with the status 2, leaves no
// session on the appliance, and restores the echo of the terminal.
func TestInterruptedPrompt(t *testing.T) {
	t.Parallel()
	a := spstest.NewServer(t)
	for name, test := range map[string]struct {
		args         []string
		prompt, want string
		silent       bool // the prompt disables the echo
	}{
		"password":     {[]string{"info"}, "Password of admin: ", "interrupted: no password was entered", true},
		"confirmation": {[]string{"firmware", "upgrade", "--slot", "2"}, "[y/N] ", "not confirmed, so nothing was done: interrupted", false},
		"fingerprint":  {[]string{"trust", a.Addr(), "--save", "lab"}, "[y/N] ", "not confirmed, so nothing was saved: interrupted", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			master, terminal := openTerminal(t)
			c, _ := process(t, a, append(test.args, "--config", os.DevNull)...)
			c.Stdin, c.Stderr, c.SysProcAttr = terminal, terminal, &syscall.SysProcAttr{Setsid: true, Setctty: true}
			if test.silent {
				c.Env = append(c.Env, "SPS_PASSWORD=")
			}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			readUntil(t, master, test.prompt)
			for test.silent && echoes(t, terminal) {
				time.Sleep(time.Millisecond)
			}
			if _, err := master.Write([]byte{3}); err != nil { // Ctrl-C
				t.Fatal(err)
			}
			readUntil(t, master, test.want)
			if got := status(t, c.Wait()); got != 2 {
				t.Errorf("status %d, want 2", got)
			}
			if !echoes(t, terminal) {
				t.Error("the terminal does not echo its input")
			}
			if n := a.Sessions(); n != 0 {
				t.Errorf("%d sessions are left", n)
			}
		})
	}
}
