package conn

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/goccy/go-yaml"
)

// SaveAppliance adds an appliance to the configuration file, and returns the name of the file.
// If the file has an appliance of this name with the same host, its fingerprint is replaced, its
// CA bundle is removed, and its other settings stay. If that appliance has another host,
// SaveAppliance returns an error and does not change the file.
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
			return "", fmt.Errorf("%s already has an appliance %q, with the host %s: choose another name with --save", path, name, old.Host)
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

// replaceFile replaces a file atomically: after a crash, the file has its old content or the
// new content. The file can be read only by its owner.
func replaceFile(name string, content []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*") // its mode is 0600
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
