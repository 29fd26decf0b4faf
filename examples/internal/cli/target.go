package cli

import (
	"encoding/json"
	"io"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/spstest"
)

// Target is an appliance and how to log in to it.
type Target struct {
	Host       string
	Credential sps.Credential
	Options    []sps.Option
}

// Target makes what the flags and the environment say about the appliance, for
// the program of that name.
func (c *Connection) Target(program string, getenv func(string) string) (Target, error) {
	credential, err := c.Credential(getenv)
	if err != nil {
		return Target{}, err
	}
	options, err := c.Options(program)
	if err != nil {
		return Target{}, err
	}
	return Target{c.Appliance, credential, options}, nil
}

// Simulated is a simulated appliance as a target.
func Simulated(a *spstest.Appliance) Target {
	return Target{
		Host:       a.Addr(),
		Credential: sps.UsernamePassword(a.Username(), sps.NewSecretString(a.Password())),
		Options:    []sps.Option{sps.WithCABundle(a.CA())},
	}
}

// PrintJSON prints one object, indented, for people and programs.
func PrintJSON(w io.Writer, object any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(object)
}
