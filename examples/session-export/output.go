package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// output is a file of lines, with another one beside it that says up to where they count.
type output struct {
	name  string
	file  *os.File
	lines *bufio.Writer
	state state
}

// state is what the file NAME.checkpoint has.
type state struct {
	Length     int64           `json:"length"`     // of the lines
	Checkpoint json.RawMessage `json:"checkpoint"` // of the sessions in them
}

// open opens the output as it was when its checkpoint was saved: what is behind that was
// written before a crash, and is cut off.
func open(name string) (*output, error) {
	o := &output{name: name}
	data, err := os.ReadFile(o.checkpointFile())
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case json.Unmarshal(data, &o.state) != nil || o.state.Length < 0 || len(o.state.Checkpoint) == 0:
		return nil, fmt.Errorf("%s is no checkpoint of this program", o.checkpointFile())
	}
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

func (o *output) checkpointFile() string { return o.name + ".checkpoint" }

func (o *output) cut() error {
	info, err := o.file.Stat()
	switch {
	case err != nil:
		return err
	case len(o.state.Checkpoint) == 0 && info.Size() > 0:
		return fmt.Errorf("%s is there already, without %s", o.name, o.checkpointFile())
	case info.Size() < o.state.Length:
		return fmt.Errorf("%s is shorter than %s says: was it moved?", o.name, o.checkpointFile())
	}
	if err := o.file.Truncate(o.state.Length); err != nil {
		return err
	}
	_, err = o.file.Seek(o.state.Length, io.SeekStart)
	return err
}

// write adds a line.
func (o *output) write(line []byte) error {
	o.state.Length += int64(len(line)) + 1
	if _, err := o.lines.Write(line); err != nil {
		return err
	}
	return o.lines.WriteByte('\n')
}

// save saves the lines, and only then the checkpoint that says that they are there. It takes
// what Checkpoint returns.
func (o *output) save(checkpoint []byte, err error) error {
	if err != nil {
		return err
	}
	if err := o.lines.Flush(); err != nil {
		return err
	}
	if err := o.file.Sync(); err != nil {
		return err
	}
	o.state.Checkpoint = checkpoint
	data, err := json.Marshal(o.state)
	if err != nil {
		return err
	}
	return replace(o.checkpointFile(), data)
}

// replace replaces a file at once: a crash leaves the old one or the new one.
func replace(name string, data []byte) error {
	file, err := os.OpenFile(name+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if syncErr := file.Sync(); err == nil {
		err = syncErr
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}
