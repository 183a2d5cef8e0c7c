package process

import (
	"slices"
	"strings"
	"sync"
)

// RingBuffer keeps the last bytes that were written to it. It may be used by several goroutines at once. Its memory grows
// as needed, up to its size. The zero RingBuffer keeps nothing.
type RingBuffer struct {
	mu    sync.Mutex
	size  int
	data  []byte // what it holds; size bytes at most
	start int    // index in data of the oldest byte; 0 until data is full
}

// NewRingBuffer makes an empty RingBuffer for size bytes. With a size of 0 or below it keeps nothing.
func NewRingBuffer(size int) *RingBuffer {
	return &RingBuffer{size: max(0, size)}
}

// Write keeps data, in place of the oldest bytes if the buffer is full. It never fails: it returns len(data) and nil.
func (b *RingBuffer) Write(data []byte) (int, error) {
	written := len(data)
	b.mu.Lock()
	defer b.mu.Unlock()
	// Bytes before the last size ones would not stay.
	data = data[max(0, len(data)-b.size):]
	if room := b.size - len(b.data); room > 0 {
		fits := min(len(data), room)
		b.grow(fits)
		b.data = append(b.data, data[:fits]...)
		data = data[fits:]
	}
	for len(data) > 0 {
		copied := copy(b.data[b.start:], data)
		data = data[copied:]
		b.start += copied
		if b.start == b.size {
			b.start = 0
		}
	}
	return written, nil
}

// grow makes room for more bytes. Unlike append it takes no memory beyond the size.
func (b *RingBuffer) grow(more int) {
	needed := len(b.data) + more
	if needed <= cap(b.data) {
		return
	}
	grown := make([]byte, len(b.data), min(max(needed, 2*cap(b.data)), b.size))
	copy(grown, b.data)
	b.data = grown
}

// String returns what the buffer holds, oldest first.
func (b *RingBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var text strings.Builder
	text.Grow(len(b.data))
	text.Write(b.data[b.start:])
	text.Write(b.data[:b.start])
	return text.String()
}

// Bytes returns a copy of what the buffer holds, oldest first; nil when it is empty.
func (b *RingBuffer) Bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.data) == 0 {
		return nil
	}
	return slices.Concat(b.data[b.start:], b.data[:b.start])
}

// Len returns how many bytes the buffer holds.
func (b *RingBuffer) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.data)
}

// Cap returns how many bytes the buffer holds at most.
func (b *RingBuffer) Cap() int { return b.size }

// Reset forgets what the buffer holds. It keeps the memory for what is written next.
func (b *RingBuffer) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.data, b.start = b.data[:0], 0
}
