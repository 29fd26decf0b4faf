package command

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/go-sps/sps"
	"github.com/go-sps/sps/audit"
	"github.com/go-sps/sps/cmd/sps/internal/out"
	"github.com/go-sps/sps/cmd/sps/internal/text"
)

// formatCSV is the output format that only spec.csv allows.
const formatCSV = "csv"

// checkCSV returns an error if a flag of sessions search does not fit -o csv.
func checkCSV(fields []string, limit int, e *exportFlags) error {
	switch {
	case len(fields) == 0:
		return errors.New("-o csv needs --field: name the columns, for example --field start_time,user.name")
	case e.checkpoint != "":
		return errors.New("-o csv excludes --checkpoint: use -o jsonl to continue an earlier run")
	case limit > 0:
		return errors.New("-o csv excludes --limit: select fewer sessions with --since, --until or --query")
	case e.file != "":
		return freeName(e.file)
	}
	return nil
}

// csv writes the sessions that a query finds as CSV to standard output, or to a new file.
func (j *job) csv(ctx context.Context, query audit.Query, file string, options []sps.SearchOption) (out.Report, error) {
	search := j.client.Audit.Sessions.Search(ctx, query, options...)
	if file == "" {
		w := j.Stdout
		if _, ok := terminal(w); ok {
			w = &visible{w: w}
		}
		_, err := search.WriteCSV(w)
		return out.Report{}, err
	}
	rows := 0
	_, err := download(file, func(w io.Writer) (_ int64, err error) {
		rows, err = search.WriteCSV(w)
		return 0, err
	})
	if err == nil {
		j.warnf("%s: %d sessions were written to %s", j.name, rows, file)
	}
	return out.Report{}, err
}

// visible is a writer that removes the characters that could control a terminal. It writes
// complete lines.
type visible struct {
	w    io.Writer
	rest []byte // the start of a line that is not complete
}

// Write writes the complete lines of the text so far.
func (v *visible) Write(b []byte) (int, error) {
	v.rest = append(v.rest, b...)
	end := bytes.LastIndexByte(v.rest, '\n') + 1
	if _, err := io.WriteString(v.w, text.Lines(string(v.rest[:end]))); err != nil {
		return 0, err
	}
	v.rest = append(v.rest[:0], v.rest[end:]...)
	return len(b), nil
}
