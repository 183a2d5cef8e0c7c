package process

import (
	"bytes"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// turn has the handlers of one process called one after another, on whichever goroutine: the one that starts the process,
// the one that brings its events, or one that kills it, which broadcasts the kill itself before it goes on.
//
// A handler may kill its own process: the broadcast of that kill must not wait for the handler, and the broadcast of
// any other kill must. Go does not tell the two apart, so a turn knows the goroutine that has it. The ID of a goroutine
// is looked up when it begins with the events of a process and when it starts or kills one, not for each line. A
// goroutine that a handler has started does not count as the handler: if it kills and the handler waits for it, only
// the limit on waiting helps.
//
// Killers go first: a goroutine that brings events gives way to the killers that were there when it asked for the turn,
// so that a kill is broadcast before the end.
type turn struct {
	mu      sync.Mutex
	changed chan struct{} // closed when a field below changes; nil if no goroutine waits for that

	holder   goroutine
	held     bool
	open     bool         // the start was broadcast, or never will be; until then no kill is broadcast
	told     bool         // the broadcast of Killed has ended
	owed     bool         // a killer could not broadcast its kill
	bringers int32        // goroutines that want to bring events
	killers  atomic.Int32 // goroutines that will broadcast their kill
}

// goroutine is the ID of a goroutine; 0 if there are no handlers that could ask for it.
type goroutine uint64

// longestTurn is how long a kill waits for its turn. Most handlers take less. It bounds what would be a deadlock: a handler
// that waits for another goroutine that kills, or two handlers that kill each other's process.
const longestTurn = time.Second

// self returns the goroutine that calls it.
func self() goroutine {
	var text [40]byte // "goroutine 18446744073709551615 ["
	number, _, _ := bytes.Cut(bytes.TrimPrefix(text[:runtime.Stack(text[:], false)], []byte("goroutine ")), []byte(" "))
	id, err := strconv.ParseUint(string(number), 10, 64)
	if err != nil {
		return 0 // it waits for its turn like any other
	}
	return goroutine(id)
}

// enter takes the turn for events.
func (t *turn) enter(me goroutine) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bringers++
	t.await(nil, func() bool { return !t.held && (!t.open || t.killers.Load() == 0) })
	t.bringers--
	t.holder, t.held = me, true
}

func (t *turn) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.holder, t.held = 0, false
	t.change()
}

// isWanted reports whether a killer is there, which goes first.
func (t *turn) isWanted() bool { return t.killers.Load() > 0 }

// begin says that the caller kills now, and will call finish. A killer that comes while events wait already does not
// hold them up, too: otherwise the end of a process would wait for ever if enough goroutines killed it.
func (t *turn) begin() (finish func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.bringers > 0 {
		return func() {}
	}
	t.killers.Add(1)
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.killers.Add(-1)
		t.change()
	}
}

// tell calls say, which broadcasts that the process was killed, in a turn of its own or in that of the handler that
// kills. It does not call say if the kill was broadcast meanwhile, and leaves it to the end of the process if the wait
// takes too long.
func (t *turn) tell(say func()) {
	me := self()
	if !t.isOf(me) {
		if !t.enterToTell(me) {
			return
		}
		defer t.leave()
	}
	say()
}

func (t *turn) isOf(me goroutine) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.held && t.holder == me && me != 0
}

func (t *turn) enterToTell(me goroutine) bool {
	longest := time.NewTimer(longestTurn)
	defer longest.Stop()
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.await(longest.C, func() bool { return t.told || t.open && !t.held }) {
		t.owed = true
		return false
	}
	if t.told {
		return false
	}
	t.holder, t.held = me, true
	return true
}

// opened says that the start has been broadcast, or never will be.
func (t *turn) opened() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open = true
	t.change()
}

// over says that the broadcast of Killed has ended.
func (t *turn) over() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.told = true
	t.change()
}

// owe leaves the broadcast of a kill to the end of the process.
func (t *turn) owe() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.owed = true
}

// owes reports whether the end of the process has to broadcast that it was killed, before Done is closed.
func (t *turn) owes() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.owed && !t.told
}

// await waits until a condition has come true, and reports whether it has. The caller holds t.mu, which is free meanwhile.
func (t *turn) await(longest <-chan time.Time, isTrue func() bool) bool {
	for !isTrue() {
		if t.changed == nil {
			t.changed = make(chan struct{})
		}
		changed, late := t.changed, false
		t.mu.Unlock()
		select {
		case <-changed:
		case <-longest:
			late = true
		}
		t.mu.Lock()
		if late {
			return isTrue()
		}
	}
	return true
}

// change wakes the goroutines that wait. The caller holds t.mu.
func (t *turn) change() {
	if t.changed != nil {
		close(t.changed)
		t.changed = nil
	}
}
