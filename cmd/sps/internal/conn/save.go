package conn

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/goccy/go-yaml"
)

// SaveAppliance puts an appliance into the configuration file, and returns the name of the
// file. What is there under that name for another host stays, and is an error; for the
// same host it gets the new fingerprint.
func (f *Flags) SaveAppliance(getenv func(string) string, name string, e Entry) (path string, err error) {
	path, _, err = f.ConfigPath(getenv)
	if err != nil {
		return "", err
	}
	file := &File{name: path}
	comments := yaml.CommentMap{}
	content, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return "", err
	default:
		if err := yaml.UnmarshalWithOptions(content, file, yaml.Strict(), yaml.CommentToMap(comments)); err != nil {
			return "", fmt.Errorf("%s: %s", path, complaint(err))
		}
	}
	if old, ok := file.Appliances[name]; ok {
		if address(old.Host) != address(e.Host) {
			return "", fmt.Errorf("%s has an appliance %q already, which is %s", path, name, old.Host)
		}
		old.Fingerprint, old.CABundle = e.Fingerprint, ""
		e = old
	}
	if file.Appliances == nil {
		file.Appliances = map[string]Entry{}
	}
	file.Appliances[name] = e
	content, err = yaml.MarshalWithOptions(file, yaml.WithComment(comments))
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	return path, replaceFile(path, content)
}

// replaceFile writes a file at once: a crash leaves the old one or the new one. Only its
// owner may read it.
func replaceFile(name string, content []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*") // with the mode 0600
	if err != nil {
		return err
	}
	_, err = temporary.Write(content)
	err = errors.Join(err, temporary.Sync(), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), name)
	}
	if err != nil {
		os.Remove(temporary.Name())
	}
	return err
}
