package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// This file knows what the children write, as ../shared/pattern.h does, so that every host can prove that it has read all
// of it.

const (
	lineBytes    = 80
	patternLines = 4096
	helloBytes   = 64
	fnvOffset    = 0xcbf29ce484222325
	fnvPrime     = 0x100000001b3
)

// sumLines returns the sum of the hashes of the lines. It is the same in any order, because the lines of two streams may
// come in either order.
func sumLines(output []byte) uint64 {
	sum := uint64(0)
	for line := range bytes.Lines(output) {
		hash := uint64(fnvOffset)
		for _, letter := range bytes.TrimSuffix(line, []byte("\n")) {
			hash = (hash ^ uint64(letter)) * fnvPrime
		}
		sum += hash
	}
	return sum
}

// addLine adds a line to the checksum of a stream, in which the order matters. It is cheap, so as not to be what is
// measured.
func addLine(checksum uint64, line string) uint64 {
	if len(line) < 8 {
		return checksum * fnvPrime
	}
	return checksum*fnvPrime + binary.LittleEndian.Uint64([]byte(line[:8]))
}

// pattern returns what the child "flood" writes again and again.
func pattern() []byte {
	all := make([]byte, 0, lineBytes*patternLines)
	for line := range uint32(patternLines) {
		all = fmt.Appendf(all, "%08x", line*2654435761)
		for column := uint32(8); column < lineBytes-1; column++ {
			all = append(all, byte('a'+(line+column)%26))
		}
		all = append(all, '\n')
	}
	return all
}

// checker is a Writer that compares every byte with what the child "flood" writes.
type checker struct {
	want []byte // the pattern
	seen int
}

func (c *checker) Write(data []byte) (int, error) {
	for left := data; len(left) > 0; {
		want := c.want[c.seen%len(c.want):]
		piece := min(len(left), len(want))
		if !bytes.Equal(left[:piece], want[:piece]) {
			return 0, fmt.Errorf("the output differs from what the child wrote, after %d bytes", c.seen)
		}
		left, c.seen = left[piece:], c.seen+piece
	}
	return len(data), nil
}

// isEnd returns an error unless tail is the end of this many bytes of flood's output.
func isEnd(tail []byte, total int) error {
	all := pattern()
	for offset := total - len(tail); len(tail) > 0; {
		start := offset % len(all)
		piece := min(len(tail), len(all)-start)
		if !bytes.Equal(tail[:piece], all[start:start+piece]) {
			return fmt.Errorf("the output differs from what the child wrote")
		}
		tail, offset = tail[piece:], offset+piece
	}
	return nil
}
