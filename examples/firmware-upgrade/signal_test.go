//go:build unix

package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/examples/internal/clitest"
	"github.com/go-sps/sps/spstest"
)

// asProgram makes the test binary the program itself.
const asProgram = "FIRMWARE_UPGRADE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(clitest.RunTests(m))
}

func TestSignal(t *testing.T) {
	t.Parallel()
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			a := start(t)
			started, over := make(chan *os.Process, 1), make(chan struct{})
			a.Inject(spstest.Fault{Path: "firmware/test", Mutate: func(body []byte) []byte {
				if err := (<-started).Signal(signal); err != nil {
					t.Error(err)
				}
				<-over // there is no answer before the program has ended
				return body
			}})
			var stdout, stderr bytes.Buffer
			cmd := exec.CommandContext(t.Context(), os.Args[0], reach(t, a, "-slot", "2")...)
			cmd.Env = append(os.Environ(), asProgram+"=1", "SPS_PASSWORD="+clitest.Password)
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			started <- cmd.Process
			err := cmd.Wait()
			noSession(t, a)
			close(over)
			if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			got := clitest.Outcome{Status: cmd.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: stderr.String()}
			diff(t, exitError, result{
				Appliance: a.Addr(), From: "7.4.0", To: "8.0.0", Slot: "2", Status: errored, Step: sps.StepTest,
				Error: anyText, Left: "no upgrade was started; the appliance ran 7.4.0; the image stays in slot 2",
			}, got)
			says(t, got, signal.String()+" signal received")
			runs(t, a, 0, "7.4.0")
		})
	}
}
