package main

import (
	"errors"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// bar is a ratio in the tables about other SDKs, with its confidence interval.
type bar struct {
	name             string
	ratio, low, high float64
}

// group is the table about other SDKs for one version of Go.
type group struct {
	version string
	bars    []bar
}

var (
	peerTitle = regexp.MustCompile(`^### Compared with other SDKs, (\S+)$`)
	peerRow   = regexp.MustCompile(`^\| ([\w-]+) \| ([\d.]+) \(([\d.]+)–([\d.]+)\) \|`)
)

// groupsOf returns the tables about other SDKs in a page.
func groupsOf(page string) (groups []group, err error) {
	open := false
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		if title := peerTitle.FindStringSubmatch(line); title != nil {
			groups, open = append(groups, group{version: title[1]}), true
			continue
		}
		if strings.HasPrefix(line, "#") {
			open = false
		}
		cells := peerRow.FindStringSubmatch(line)
		if !open || cells == nil {
			continue
		}
		b := bar{name: cells[1]}
		for i, into := range []*float64{&b.ratio, &b.low, &b.high} {
			if *into, err = strconv.ParseFloat(cells[i+2], 64); err != nil {
				return nil, err
			}
		}
		last := &groups[len(groups)-1]
		last.bars = append(last.bars, b)
	}
	if len(groups) == 0 {
		return nil, errors.New("the page has no table about other SDKs")
	}
	return groups, nil
}

// The sizes of the chart, in pixels.
const (
	chartWidth = 720
	left       = 120 // where the bars start; their names are to the left
	unit       = 220 // the length of a bar for a ratio of 1
	rowHeight  = 26
	headHeight = 36
)

// chart returns an SVG of the tables in a page that compare this SDK with other SDKs. Each
// ratio is a bar with its confidence interval as a line at its end. A dashed line shows the ratio 1.
func chart(page string) (string, error) {
	groups, err := groupsOf(page)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	y := 56
	for _, g := range groups {
		fmt.Fprintf(&b, `<text x="16" y="%d" class="head">%s</text>`+"\n", y+20, html.EscapeString(g.version))
		y += headHeight
		top := y - 6
		for _, one := range g.bars {
			class := "peer"
			if one.name == "sps" {
				class = "own"
			}
			middle := y + rowHeight/2 - 3
			fmt.Fprintf(&b, `<text x="%d" y="%d" class="name">%s</text>`+"\n", left-8, middle+4, html.EscapeString(one.name))
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.0f" height="%d" class="%s"/>`+"\n", left, y, one.ratio*unit, rowHeight-6, class)
			fmt.Fprintf(&b, `<line x1="%.0f" y1="%d" x2="%.0f" y2="%d" class="interval"/>`+"\n", left+one.low*unit, middle, left+one.high*unit, middle)
			fmt.Fprintf(&b, `<text x="%.0f" y="%d">%.2f</text>`+"\n", left+max(one.ratio, one.high)*unit+8, middle+4, one.ratio)
			y += rowHeight
		}
		fmt.Fprintf(&b, `<line x1="%d" y1="%d" x2="%d" y2="%d" class="one"/>`+"\n", left+unit, top, left+unit, y)
		fmt.Fprintf(&b, `<text x="%d" y="%d" class="note">1.00: the plain read</text>`+"\n", left+unit+6, y+9)
		y += 24
	}
	head := fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img">
<title>Time of a typed read of 250 bytes with each SDK, relative to a plain read; less is better</title>
<style>
text { font: 13px sans-serif; fill: #24292f }
.title { font-size: 15px; font-weight: bold }
.head { font-weight: bold }
.name { text-anchor: end }
.note { font-size: 11px }
.own { fill: #1a7f37 }
.peer { fill: #8c959f }
.one { stroke: #24292f; stroke-dasharray: 3 3 }
.interval { stroke: #24292f; stroke-width: 2 }
</style>
<rect width="%d" height="%d" fill="#ffffff"/>
<text x="16" y="26" class="title">Time of a typed read of 250 bytes; a plain read with net/http is 1.00</text>
<text x="16" y="46">Less is better. The line at the end of a bar is the interval of 95 %% confidence.</text>
`, chartWidth, y, chartWidth, y, chartWidth, y)
	return head + b.String() + "</svg>\n", nil
}

// writeChart draws the chart of a page into a file with the name of the page and the
// extension svg.
func writeChart(file string) error {
	page, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	svg, err := chart(string(page))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(strings.TrimSuffix(file, filepath.Ext(file))+".svg", []byte(svg), 0o644)
}
