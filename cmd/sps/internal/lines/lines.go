// Package lines writes lines, each once, over crashes: a checkpoint beside them says up to
// where they count.
package lines

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Output takes lines.
type Output struct {
	name, checkpoint string // of files; "" for none
	file             *os.File
	lines            *bufio.Writer
	state            state
}

// state is what the file of the checkpoint has.
type state struct {
	Length     int64           `json:"length"`     // of the lines in the file
	Checkpoint json.RawMessage `json:"checkpoint"` // of what is in them
}

// Open opens an output as it was when its checkpoint was saved: what is behind that in the
// file was written before a crash, and is cut off. Without a file the lines go to w, where
// nothing can be cut off: then a crash may repeat some.
func Open(name, checkpoint string, w io.Writer) (*Output, error) {
	o := &Output{name: name, checkpoint: checkpoint, lines: bufio.NewWriter(w)}
	if err := o.load(); err != nil {
		return nil, err
	}
	if name == "" {
		if o.state.Length > 0 {
			return nil, fmt.Errorf("%s belongs to an output file: name that, too", checkpoint)
		}
		return o, nil
	}
	var err error
	if o.file, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, err
	}
	if err := o.cut(); err != nil {
		o.file.Close()
		return nil, err
	}
	o.lines = bufio.NewWriter(o.file)
	return o, nil
}

func (o *Output) load() error {
	if o.checkpoint == "" {
		return nil
	}
	data, err := os.ReadFile(o.checkpoint)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case json.Unmarshal(data, &o.state) != nil || o.state.Length < 0 || len(o.state.Checkpoint) == 0:
		return fmt.Errorf("%s is no checkpoint of this program", o.checkpoint)
	}
	return nil
}

func (o *Output) cut() error {
	info, err := o.file.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no file", o.name)
	case len(o.state.Checkpoint) == 0 && info.Size() > 0 && o.checkpoint == "":
		return fmt.Errorf("%s exists already", o.name)
	case len(o.state.Checkpoint) == 0 && info.Size() > 0:
		return fmt.Errorf("%s exists already, without %s", o.name, o.checkpoint)
	case info.Size() < o.state.Length:
		return fmt.Errorf("%s is shorter than %s says: was it moved?", o.name, o.checkpoint)
	}
	if err := o.file.Truncate(o.state.Length); err != nil {
		return err
	}
	_, err = o.file.Seek(o.state.Length, io.SeekStart)
	return err
}

// Checkpoint is what was saved last, nil for nothing.
func (o *Output) Checkpoint() []byte { return o.state.Checkpoint }

// Write adds a line.
func (o *Output) Write(line []byte) error {
	if o.file != nil {
		o.state.Length += int64(len(line)) + 1
	}
	if _, err := o.lines.Write(line); err != nil {
		return err
	}
	return o.lines.WriteByte('\n')
}

// Save saves the lines, and only then the checkpoint that says that they are there. It
// takes what a function that makes one returns.
func (o *Output) Save(checkpoint []byte, err error) error {
	if err != nil {
		return err
	}
	if err := o.Flush(); err != nil || o.checkpoint == "" {
		return err
	}
	o.state.Checkpoint = checkpoint
	data, err := json.Marshal(o.state)
	if err != nil {
		return err
	}
	return replace(o.checkpoint, data)
}

// Flush writes the lines out.
func (o *Output) Flush() error {
	err := o.lines.Flush()
	if err == nil && o.file != nil {
		err = o.file.Sync()
	}
	return err
}

// Close closes the file. What was not saved is written nevertheless, and cut off by the
// next Open.
func (o *Output) Close() error {
	if o.file == nil {
		return o.lines.Flush()
	}
	return errors.Join(o.lines.Flush(), o.file.Close())
}

// replace replaces a file at once: a crash leaves the old one or the new one.
func replace(name string, data []byte) error {
	file, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".new-*")
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), name)
	}
	if err != nil {
		os.Remove(file.Name())
	}
	return err
}
