// Package lines writes lines to a file, each line once, even if the program crashes and is
// started again. A checkpoint file stores how many bytes of the output file are valid.
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

// Output writes lines to a file or to an io.Writer.
type Output struct {
	name, checkpoint string // names of the two files; "" if there is none
	file             *os.File
	lines            *bufio.Writer
	state            state
}

// state is the content of the checkpoint file.
type state struct {
	Length     int64           `json:"length"`     // the valid length of the output file in bytes
	Checkpoint json.RawMessage `json:"checkpoint"` // the caller's checkpoint; it covers the lines within Length
}

// Open opens an output, and restores the state of its last Save: bytes that were written to the
// file after that Save are cut off. If name is "", the lines are written to w. Lines in w
// cannot be cut off, so lines may be repeated after a crash.
func Open(name, checkpoint string, w io.Writer) (*Output, error) {
	o := &Output{name: name, checkpoint: checkpoint, lines: bufio.NewWriter(w)}
	if err := o.load(); err != nil {
		return nil, err
	}
	if name == "" {
		if o.state.Length > 0 {
			return nil, fmt.Errorf("%s belongs to an output file: name this file with --output-file", checkpoint)
		}
		return o, nil
	}
	var err error
	if o.file, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, fmt.Errorf("output file: %w: give a writable file with --output-file", err)
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
		return fmt.Errorf("checkpoint: %w: give a readable file with --checkpoint", err)
	case json.Unmarshal(data, &o.state) != nil || o.state.Length < 0 || len(o.state.Checkpoint) == 0:
		return fmt.Errorf("%s is not a checkpoint of this tool: give another file with --checkpoint", o.checkpoint)
	}
	return nil
}

func (o *Output) cut() error {
	info, err := o.file.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file: give another file with --output-file", o.name)
	case len(o.state.Checkpoint) == 0 && info.Size() > 0 && o.checkpoint == "":
		return fmt.Errorf("%s already exists: give a new file with --output-file", o.name)
	case len(o.state.Checkpoint) == 0 && info.Size() > 0:
		return fmt.Errorf("%s already exists, but its checkpoint %s does not: give another file with --output-file", o.name, o.checkpoint)
	case info.Size() < o.state.Length:
		return fmt.Errorf("%s is shorter than its checkpoint %s records: restore the file, or give new files with --output-file and --checkpoint", o.name, o.checkpoint)
	}
	if err := o.file.Truncate(o.state.Length); err != nil {
		return err
	}
	_, err = o.file.Seek(o.state.Length, io.SeekStart)
	return err
}

// Checkpoint returns the checkpoint of the last Save, or nil if nothing was saved.
func (o *Output) Checkpoint() []byte { return o.state.Checkpoint }

// Write writes a line.
func (o *Output) Write(line []byte) error {
	if o.file != nil {
		o.state.Length += int64(len(line)) + 1
	}
	if _, err := o.lines.Write(line); err != nil {
		return err
	}
	return o.lines.WriteByte('\n')
}

// Save writes the buffered lines to the file, and after that the checkpoint. Its parameters are
// the results of a function that makes a checkpoint. If err is not nil, Save returns it and
// writes nothing.
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

// Flush writes the buffered lines, and syncs the file.
func (o *Output) Flush() error {
	err := o.lines.Flush()
	if err == nil && o.file != nil {
		err = o.file.Sync()
	}
	return err
}

// Close writes the buffered lines and closes the file. The next Open cuts off the lines that were
// not saved.
func (o *Output) Close() error {
	if o.file == nil {
		return o.lines.Flush()
	}
	return errors.Join(o.lines.Flush(), o.file.Close())
}

// replace replaces a file atomically: after a crash, the file has its old content or the new
// content.
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
