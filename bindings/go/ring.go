package process

import (
	"unsafe"

	"dappco.re/go/core/process/internal/capi"
)

// RingBuffer keeps the last bytes that were written to it. It may be used by several goroutines at once.
// Its memory is outside of Go's heap, grows as needed up to its size, and is freed with the RingBuffer.
type RingBuffer struct {
	core *capi.Ring // nil: keeps nothing
}

// NewRingBuffer is an empty RingBuffer for size bytes. With a size of 0 or below it keeps nothing.
func NewRingBuffer(size int) *RingBuffer {
	if size <= 0 {
		return &RingBuffer{}
	}
	core, err := capi.NewRing(uint(size))
	if err != nil {
		// It takes a few bytes, so only a library that cannot be used at all comes to this.
		panic(err)
	}
	return &RingBuffer{core}
}

// Write keeps data, in place of the oldest bytes where the buffer is full. It never fails: it returns
// len(data) and nil.
func (b *RingBuffer) Write(data []byte) (int, error) {
	if b.core != nil && len(data) > 0 {
		// It fails with a closed handle or a bad pointer, and there is neither here.
		if err := b.core.Write(data); err != nil {
			panic(err)
		}
	}
	return len(data), nil
}

// String is what the buffer holds, oldest first.
func (b *RingBuffer) String() string {
	bytes := b.Bytes()
	// Nobody else has these bytes, so the string need not copy them.
	return unsafe.String(unsafe.SliceData(bytes), len(bytes))
}

// Bytes is a copy of what the buffer holds, oldest first; nil when it is empty.
func (b *RingBuffer) Bytes() []byte {
	if b.core == nil {
		return nil
	}
	bytes, err := b.core.Bytes()
	if err != nil {
		panic(err) // as in Write
	}
	return bytes
}

// Len is how many bytes the buffer holds.
func (b *RingBuffer) Len() int {
	if b.core == nil {
		return 0
	}
	return b.core.Len()
}

// Cap is how many bytes the buffer holds at most.
func (b *RingBuffer) Cap() int {
	if b.core == nil {
		return 0
	}
	return b.core.Cap()
}

// Reset forgets what the buffer holds.
func (b *RingBuffer) Reset() {
	if b.core != nil {
		b.core.Reset()
	}
}
