package out

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

type yamlDocument struct {
	w       io.Writer
	command string
}

func (y *yamlDocument) Begin() error {
	_, err := fmt.Fprintf(y.w, "format: %d\ncommand: %s\nresults:\n", Format, y.command)
	return err
}

func (y *yamlDocument) Print(o Outcome) error {
	text, err := json.Marshal([]Outcome{o})
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := toYAML(&b, text); err != nil {
		return err
	}
	_, err = y.w.Write(b.Bytes())
	return err
}

func (y *yamlDocument) End(status int) error {
	_, err := fmt.Fprintf(y.w, "status: %d\n", status)
	return err
}

// toYAML converts JSON to YAML, and keeps the order of the members. Strings are in double
// quotes unless they are plain words, so that YAML does not read them as a value of another type.
// Characters that could control a terminal are escaped.
func toYAML(b *bytes.Buffer, text []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	token, err := decoder.Token()
	if err != nil {
		return err
	}
	return yamlValue(b, decoder, token, "")
}

func yamlValue(b *bytes.Buffer, decoder *json.Decoder, token json.Token, indent string) error {
	switch token {
	case json.Delim('{'):
		return yamlMap(b, decoder, indent)
	case json.Delim('['):
		return yamlList(b, decoder, indent)
	case nil:
		b.WriteString("null\n")
		return nil
	}
	if word, ok := token.(string); ok {
		b.WriteString(yamlText(word) + "\n")
		return nil
	}
	fmt.Fprintln(b, token)
	return nil
}

// yamlMap writes the members of a map. The first member is written without indentation.
func yamlMap(b *bytes.Buffer, decoder *json.Decoder, indent string) error {
	count := 0
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return err
		}
		if count > 0 {
			b.WriteString(indent)
		}
		count++
		b.WriteString(yamlText(name.(string)) + ":")
		value, err := decoder.Token()
		if err != nil {
			return err
		}
		if err := yamlMember(b, decoder, value, indent); err != nil {
			return err
		}
	}
	if count == 0 {
		b.WriteString("{}\n")
	}
	_, err := decoder.Token()
	return err
}

// yamlMember writes the value of a member: on the line of its name, or on the lines below.
func yamlMember(b *bytes.Buffer, decoder *json.Decoder, value json.Token, indent string) error {
	switch {
	case value == json.Delim('{') && decoder.More():
		b.WriteString("\n" + indent + "  ")
		return yamlMap(b, decoder, indent+"  ")
	case value == json.Delim('[') && decoder.More():
		b.WriteString("\n" + indent)
		return yamlList(b, decoder, indent)
	}
	b.WriteString(" ")
	return yamlValue(b, decoder, value, indent)
}

func yamlList(b *bytes.Buffer, decoder *json.Decoder, indent string) error {
	count := 0
	for decoder.More() {
		if count > 0 {
			b.WriteString(indent)
		}
		count++
		b.WriteString("- ")
		value, err := decoder.Token()
		if err != nil {
			return err
		}
		if err := yamlValue(b, decoder, value, indent+"  "); err != nil {
			return err
		}
	}
	if count == 0 {
		b.WriteString("[]\n")
	}
	_, err := decoder.Token()
	return err
}

var (
	plainWords = regexp.MustCompile(`^[A-Za-z_/][A-Za-z0-9_./@-]*( [A-Za-z0-9_./@-]+)*$`)
	// yamlWords are words that a version of YAML reads as a boolean or as null.
	yamlWords = []string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
)

func yamlText(word string) string {
	if plainWords.MatchString(word) && !slices.Contains(yamlWords, strings.ToLower(word)) {
		return word
	}
	var quoted strings.Builder
	quoted.WriteByte('"')
	for _, r := range word {
		switch {
		case r == '"' || r == '\\':
			quoted.WriteString(`\` + string(r))
		case r == '\n':
			quoted.WriteString(`\n`)
		case r == '\t':
			quoted.WriteString(`\t`)
		case unicode.IsGraphic(r):
			quoted.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&quoted, `\U%08x`, r)
		default:
			fmt.Fprintf(&quoted, `\u%04x`, r)
		}
	}
	quoted.WriteByte('"')
	return quoted.String()
}
