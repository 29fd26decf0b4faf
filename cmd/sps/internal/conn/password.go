package conn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/go-sps/sps"
)

// commandLimit is the longest time that a password command may take.
var commandLimit = 30 * time.Second

// password is a source of a password. It is read once, unless the password command contains
// {host} or {username}: then it is read once for each appliance.
type password struct {
	mu      sync.Mutex
	done    bool
	secret  sps.Secret
	err     error
	fetch   func(host, username string) (string, error)
	perHost bool
}

func (p *password) get(host, username string) (sps.Secret, error) {
	if p.perHost {
		text, err := p.fetch(host, username)
		return sps.NewSecretString(text), err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.done {
		text, err := p.fetch(host, username)
		p.secret, p.err, p.done = sps.NewSecretString(text), err, true
	}
	return p.secret, p.err
}

// password returns the source of the password in the settings. Appliances with the same file,
// command or prompt share one source.
func (r *resolver) password(s settings) (*password, error) {
	share := func(id string, fetch func(host, username string) (string, error)) *password {
		if r.commands[id] == nil {
			r.commands[id] = &password{fetch: fetch}
		}
		return r.commands[id]
	}
	switch {
	case s.passwordFile != "":
		content, err := r.file(s.passwordFile)
		if err != nil {
			return nil, fmt.Errorf("password file: %w: give a readable file with --password-file", err)
		}
		line, err := onlyLine(content, "password file "+s.passwordFile)
		if err != nil {
			return nil, err
		}
		return share("file\x00"+s.passwordFile, func(string, string) (string, error) { return line, nil }), nil
	case len(s.passwordCommand) > 0:
		words := s.passwordCommand
		p := share("command\x00"+strings.Join(words, "\x00"), func(host, username string) (string, error) {
			return runCommand(words, host, username)
		})
		all := strings.Join(words, " ")
		p.perHost = strings.Contains(all, "{host}") || strings.Contains(all, "{username}")
		return p, nil
	case s.passwordText != "":
		return &password{fetch: func(string, string) (string, error) { return s.passwordText, nil }}, nil
	case r.prompt != nil:
		return share("prompt\x00"+s.username, func(_, username string) (string, error) {
			return r.prompt("Password of " + username + ": ")
		}), nil
	}
	return nil, errors.New("no password: set SPS_PASSWORD, or give --password-file or --password-command")
}

// onlyLine returns the only line of content without its line end. Errors use the name in what for
// the content.
func onlyLine(content []byte, what string) (string, error) {
	line := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	switch {
	case line == "":
		return "", fmt.Errorf("the %s is empty: it must have one line, the password", what)
	case strings.ContainsAny(line, "\r\n"):
		return "", fmt.Errorf("the %s has more than one line: it must have one line, the password", what)
	}
	return line, nil
}

// runCommand runs a password command, and returns the line that it prints.
func runCommand(words []string, host, username string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	replace := strings.NewReplacer("{host}", host, "{username}", username)
	args := make([]string, len(words))
	for i, word := range words {
		args[i] = replace.Replace(word)
	}
	command := exec.CommandContext(ctx, args[0], args[1:]...)
	command.Stderr = os.Stderr
	command.WaitDelay = time.Second
	output, err := command.Output()
	what := "password command " + words[0]
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("the %s did not end within %s: run it by hand to see why, or use --password-file", what, commandLimit)
	case errors.As(err, &exit):
		return "", fmt.Errorf("the %s failed: %s: run it by hand to see why, or use --password-file", what, exit.ProcessState)
	case err != nil:
		return "", fmt.Errorf("the password command could not be run: %w: check --password-command", err)
	}
	return onlyLine(output, "output of the "+what)
}

// splitWords splits a command into words at spaces and tabs. Text in single or double quotes
// stays one word. Other characters, such as a backslash, have no special meaning.
func splitWords(line string) ([]string, error) {
	var words []string
	var word bytes.Buffer
	begun := false
	quote := rune(0)
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, begun = r, true
		case quote == 0 && (r == ' ' || r == '\t'):
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	if quote != 0 {
		return nil, errors.New("a quote is not closed: add the closing quote")
	}
	if begun {
		words = append(words, word.String())
	}
	if len(words) == 0 || words[0] == "" {
		return nil, errors.New("the command is empty: give a command that prints the password")
	}
	return words, nil
}
