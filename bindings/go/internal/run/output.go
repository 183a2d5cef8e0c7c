package run

import (
	"io"
	"sync"
	"unsafe"

	"dappco.re/go/core/process/internal/capi"
)

// output brings a child's output to a Writer.
type output struct {
	writer io.Writer
	stream capi.Stream
	failed error // of the Writer; nothing is written after it

	queue
}

// write writes data. If that fails it closes the output, so that a process which goes on writing there ends by SIGPIPE, as
// it does when the reader of a pipeline has ended.
func (o *output) write(process *capi.Process, data string) {
	if o.failed != nil || data == "" {
		return
	}
	// A Writer must not change what it is given, so the bytes of the string need no copy.
	bytes := unsafe.Slice(unsafe.StringData(data), len(data))
	written, err := o.writer.Write(bytes)
	if err == nil && written < len(bytes) {
		err = io.ErrShortWrite
	}
	if err != nil {
		o.failed = err
		_ = process.CloseOutput(o.stream)
	}
}

// queue decouples the two outputs of a child: a Writer that blocks holds up the other output only if many bytes wait. A
// goroutine writes while there is something to write.
type queue struct {
	mu      sync.Mutex
	changed sync.Cond // L is &mu, once it is used
	waiting []string
	size    int
	writing bool
}

// mostWaiting is how many bytes wait for a Writer before its child is no longer read from.
const mostWaiting = 1 << 20

// enqueue has data written by another goroutine. It waits while the queue is full.
func (o *output) enqueue(process *capi.Process, data string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.changed.L = &o.mu
	for o.size >= mostWaiting {
		o.changed.Wait()
	}
	o.waiting = append(o.waiting, data)
	o.size += len(data)
	if !o.writing {
		o.writing = true
		go o.drain(process)
	}
}

func (o *output) drain(process *capi.Process) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.waiting) > 0 {
		data := o.waiting[0]
		o.waiting = o.waiting[1:]
		o.mu.Unlock()
		o.write(process, data)
		o.mu.Lock()
		o.size -= len(data)
		o.changed.Broadcast()
	}
	o.waiting = nil
	o.writing = false
	o.changed.Broadcast()
}

// flush waits until everything is written.
func (o *output) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.changed.L = &o.mu
	for o.writing {
		o.changed.Wait()
	}
}
