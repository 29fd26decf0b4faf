package conn

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/go-sps/sps/cmd/sps/internal/text"
)

// File is the content of the configuration file.
type File struct {
	// Default is the name of the appliance for commands that name no appliance.
	Default    string           `yaml:"default,omitempty"`
	Appliances map[string]Entry `yaml:"appliances"`

	name string
}

// Entry is an appliance in the configuration file.
type Entry struct {
	Host            string `yaml:"host"`
	Username        string `yaml:"username,omitempty"`
	LoginMethod     string `yaml:"login-method,omitempty"`
	Password        string `yaml:"password,omitempty"`
	PasswordFile    string `yaml:"password-file,omitempty"`
	PasswordCommand words  `yaml:"password-command,omitempty"`
	CABundle        string `yaml:"ca-bundle,omitempty"`
	Fingerprint     words  `yaml:"fingerprint,omitempty"`
	ClientCert      string `yaml:"client-cert,omitempty"`
	ClientKey       string `yaml:"client-key,omitempty"`
	Proxy           bool   `yaml:"proxy,omitempty"`
}

// words is a list of strings. In YAML it may also be one string.
type words []string

// UnmarshalYAML decodes a list of strings or one string.
func (w *words) UnmarshalYAML(data []byte) error {
	var list []string
	if err := yaml.Unmarshal(data, &list); err == nil {
		*w = list
		return nil
	}
	var one string
	if err := yaml.Unmarshal(data, &one); err != nil {
		return errors.New("the value must be a string or a list of strings")
	}
	*w = words{one}
	return nil
}

// ConfigPath returns the name of the configuration file. This is the value of --config, or the
// value of SPS_CONFIG, or sps/config.yaml in the configuration folder of the user, in this order.
// The result given is true if --config or SPS_CONFIG names the file.
func (f *Flags) ConfigPath(getenv func(string) string) (path string, given bool, err error) {
	if f.Config != "" {
		return f.Config, true, nil
	}
	if name := getenv("SPS_CONFIG"); name != "" {
		return name, true, nil
	}
	folder, err := os.UserConfigDir()
	return filepath.Join(folder, "sps", "config.yaml"), false, err
}

// LoadConfig reads the configuration file. If neither --config nor SPS_CONFIG names the file
// and it does not exist, LoadConfig returns a File without appliances.
func (f *Flags) LoadConfig(getenv func(string) string) (*File, error) {
	name, given, err := f.ConfigPath(getenv)
	if err != nil && !given {
		return &File{}, nil // the user has no home folder
	}
	content, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) && !given {
		return &File{name: name}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("configuration file: %w: check --config and SPS_CONFIG", err)
	}
	file := &File{name: name}
	if err := yaml.UnmarshalWithOptions(content, file, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%s: %s", name, complaint(err))
	}
	return file, file.checkSecrets()
}

// complaint returns the line and the reason of a YAML error. It leaves out the lines of the file
// that the YAML package shows in its error, because they may contain a password.
func complaint(err error) string {
	var detailed yaml.Error
	if errors.As(err, &detailed) && detailed.GetToken() != nil {
		words := fmt.Sprintf("line %d: %s", detailed.GetToken().Position.Line, text.Line(detailed.GetMessage()))
		var unknown *yaml.UnknownFieldError
		if errors.As(err, &unknown) {
			words += fmt.Sprintf(": the file has the settings %s, and an appliance has the settings %s", fields[File](), fields[Entry]())
		}
		return words
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	return text.Line(first)
}

// fields lists the names of the settings in a type, in their order.
func fields[T any]() string {
	var names []string
	for _, field := range reflect.VisibleFields(reflect.TypeFor[T]()) {
		if name, _, _ := strings.Cut(field.Tag.Get("yaml"), ","); name != "" {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// checkSecrets returns an error if the file contains a password and other users may read it.
func (f *File) checkSecrets() error {
	secret := false
	for _, e := range f.Appliances {
		secret = secret || e.Password != ""
	}
	if !secret || runtime.GOOS == "windows" {
		return nil // the mode of a file says nothing about its permissions on Windows
	}
	info, err := os.Stat(f.name)
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("%s contains a password, and other users may read it (mode %#o): run \"chmod 600 %s\"", f.name, mode, f.name)
	}
	return nil
}

// Names returns the names of the appliances in alphabetical order.
func (f *File) Names() []string { return slices.Sorted(maps.Keys(f.Appliances)) }

func (f *File) settings(name string) (settings, error) {
	e, ok := f.Appliances[name]
	where := fmt.Sprintf("appliance %q in %s", name, f.name)
	if !ok {
		known := "the file has no appliances; \"sps trust HOST --save NAME\" adds one"
		if names := f.Names(); len(names) > 0 {
			known = "give --appliance with one of " + strings.Join(names, ", ")
		}
		return settings{}, fmt.Errorf("no %s: %s", where, known)
	}
	s := settings{
		where: where, name: name, host: e.Host, username: e.Username, method: e.LoginMethod,
		passwordText: e.Password, passwordTextFrom: f.name, passwordFile: f.relative(e.PasswordFile), ca: f.relative(e.CABundle),
		fingerprints: e.Fingerprint, clientCert: f.relative(e.ClientCert), clientKey: f.relative(e.ClientKey), proxy: e.Proxy,
	}
	s.passwordCommand = e.PasswordCommand
	if len(e.PasswordCommand) == 1 {
		split, err := splitWords(e.PasswordCommand[0])
		if err != nil {
			return s, fmt.Errorf("%s: password-command: %w", where, err)
		}
		s.passwordCommand = split
	}
	s.count()
	switch {
	case e.Host == "":
		return s, fmt.Errorf("%s has no host: add the setting host with host[:port]", where)
	case s.passwordSources > 1:
		return s, fmt.Errorf("%s has more than one of password, password-file and password-command: keep one", where)
	case (s.clientCert == "") != (s.clientKey == ""):
		return s, fmt.Errorf("%s: client-cert and client-key belong together: set both or neither", where)
	}
	return s, nil
}

// relative returns the path of a file that is named in the configuration file. A relative name
// starts at the folder of the configuration file.
func (f *File) relative(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(f.name), name)
}
