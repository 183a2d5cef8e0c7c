package process

import (
	"bytes"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// turn lets the handlers of one process come one after another, whichever goroutine runs them: the one that starts it,
// the one that brings its events, or one that kills it, which says so itself before it goes on.
//
// A handler may kill its own process, and what says so must not wait for the handler then; anybody else must. Go does not
// tell them apart, so a turn knows the goroutine that has it. The id of a goroutine is looked up when it begins with the
// events of a process and when it starts or kills one, not for each line. What a handler has started on another goroutine
// does not count as the handler: if that kills and the handler waits for it, only the limit on waiting helps.
//
// Killers go first: who brings events gives way to those who were there when it asked, so that a kill has been told
// before the end is.
type turn struct {
	mu      sync.Mutex
	changed chan struct{} // closed when one of the others changes; nil when nobody waits for that

	holder   goroutine
	held     bool
	open     bool         // the start was broadcast, or will never be: until then nobody hears of a kill
	told     bool         // Killed was broadcast, to its end
	owed     bool         // somebody who has killed could not say so
	bringers int32        // want to bring events
	killers  atomic.Int32 // will say that they have killed
}

// goroutine is the id of one; 0 where no handler can ask, because there are none.
type goroutine uint64

// longestTurn is how long a kill waits for its turn. It is longer than most handlers take, and bounds what would be a
// deadlock: a handler that waits for another goroutine that kills, or two that kill each other's process.
const longestTurn = time.Second

// self is the goroutine that calls it.
func self() goroutine {
	var text [40]byte // "goroutine 18446744073709551615 ["
	number, _, _ := bytes.Cut(bytes.TrimPrefix(text[:runtime.Stack(text[:], false)], []byte("goroutine ")), []byte(" "))
	id, err := strconv.ParseUint(string(number), 10, 64)
	if err != nil {
		return 0 // waits for its turn like anybody else
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

// isWanted says whether somebody waits for the turn who is to have it first.
func (t *turn) isWanted() bool { return t.killers.Load() > 0 }

// begin says that the caller kills now, and will call finish. Those who come while events wait already do not hold these
// up as well: the end of a process would not get through a crowd that kills.
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

// tell calls say, which says that the process was killed, in a turn of its own or in that of the handler that kills. It
// does not when that was said meanwhile, and leaves it to the end of the process when that takes too long.
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

// opened says that the start has been broadcast, or will never be.
func (t *turn) opened() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open = true
	t.change()
}

// over says that Killed was broadcast.
func (t *turn) over() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.told = true
	t.change()
}

// owe leaves it to the end of the process to say that it was killed.
func (t *turn) owe() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.owed = true
}

// owes says whether the end of the process is to say that it was killed, before Done is closed.
func (t *turn) owes() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.owed && !t.told
}

// await waits until something has come true, and says whether it has. The turn is locked, but not meanwhile.
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

// change wakes those who wait. The turn is locked.
func (t *turn) change() {
	if t.changed != nil {
		close(t.changed)
		t.changed = nil
	}
}
