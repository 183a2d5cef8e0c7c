"""Events are complete, in order and byte-exact, and a slow reader loses none."""

import ctypes
import select
import threading
from collections import defaultdict

import pytest
from conftest import GUARD, python, scaled, shell, until

import coreproc
from coreproc import (
    Cause,
    CloseMode,
    Command,
    Delivery,
    EventKind,
    Flag,
    Stdio,
    Subscribe,
    _abi,
)
from coreproc import subscription as subscription_module

WRITE = "import sys; sys.stdout.buffer.write({!r})"


def writer(content):
    return python(WRITE.format(content))


def follow(subscription, count=1):
    """Takes events until `count` processes are closed; returns them by process."""
    events = defaultdict(list)
    for event in subscription:
        events[event.process_id].append(event)
        if event.kind is EventKind.CLOSED:
            count -= 1
            if count == 0:
                return events
    return pytest.fail("the stream ended too early")


def of(subscription, command, service):
    """Runs a command, and returns all its events."""
    process = command.spawn(service)
    return follow(subscription)[process.id]


def lines(events, kind=EventKind.STDOUT):
    return [event.data for event in events if event.kind is kind]


def test_life_of_a_process(service):
    subscription = service.subscribe()
    process = shell("echo out; echo err >&2; exit 3").spawn(service)
    events = follow(subscription)[process.id]
    kinds = [event.kind for event in events]
    assert kinds[0] is EventKind.STARTED
    assert kinds[-1] is EventKind.CLOSED
    assert sorted(kinds) == [kind for kind in EventKind if kind <= EventKind.CLOSED]
    assert [event.sequence for event in events] == list(range(1, 6))
    assert {event.pid for event in events} == {process.pid}
    assert lines(events) == [b"out"]
    assert lines(events, EventKind.STDERR) == [b"err"]
    for event in events:
        ended = event.kind in (EventKind.EXITED, EventKind.CLOSED)
        assert event.exit_code == (3 if ended else None)
        assert event.cause is (Cause.NATURAL if ended else Cause.NONE)
        assert event.signal is None
    times = [event.monotonic_ns for event in events]
    assert all(time > 0 for time in times)
    assert all(event.realtime_ns > 0 for event in events)


def test_end_by_a_signal(service):
    events = of(service.subscribe(), Command("sleep", "60", timeout=0.05), service)
    assert [(event.exit_code, event.signal, event.cause) for event in events[-2:]] == [
        (None, 15, Cause.TIMEOUT)
    ] * 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"\n\n",
        b"one\ntwo\n",
        b"no newline",
        b"one\nno newline",
        b"nul\0nul\n\0\n",
        b"\xff\xfe invalid \x80\n\xc3",
        b"crlf\r\n\r\n",
        bytes(range(256)),
    ],
    ids=repr,
)
def test_lines_are_byte_exact(service, content):
    events = of(service.subscribe(), writer(content), service)
    got = lines(events)
    pieces = content.split(b"\n")
    unfinished = pieces.pop()
    assert got == pieces + ([unfinished] if unfinished else [])
    flags = [event.flags for event in events if event.kind is EventKind.STDOUT]
    assert [bool(flag & Flag.NO_NEWLINE) for flag in flags] == [False] * len(pieces) + (
        [True] if unfinished else []
    )
    assert not any(flag & Flag.PARTIAL for flag in flags)


@pytest.mark.parametrize("length", [65535, 65536, 65537, 2**20 - 1, 2**20])
def test_long_line_is_whole(service, length):
    command = python("import sys; print('x' * int(sys.argv[1])); print('next')", str(length))
    got = lines(of(service.subscribe(), command, service))
    assert got == [b"x" * length, b"next"]


@pytest.mark.parametrize("length", [100, 101, 1000, 100_000])
def test_line_beyond_the_maximum_comes_in_flagged_pieces(service, length):
    content = b"".join(b"%x," % number for number in range(length))[:length]
    script = (
        "import sys; n = int(sys.argv[1]); "
        "print(''.join('%x,' % number for number in range(n))[:n]); print('short')"
    )
    subscription = service.subscribe(max_line_bytes=100)
    events = of(subscription, python(script, str(length)), service)
    pieces = [event for event in events if event.kind is EventKind.STDOUT]
    assert all(len(piece.data) <= 100 for piece in pieces)
    joined, line = [], b""
    for piece in pieces:
        line += piece.data
        if not piece.flags & Flag.PARTIAL:
            joined.append(line)
            line = b""
    assert joined == [content, b"short"]


def test_chunks_are_byte_exact(service):
    content = bytes(range(256)) * 4096
    command = python("import sys; sys.stdout.buffer.write(bytes(range(256)) * 4096)")
    events = of(service.subscribe(delivery=Delivery.CHUNKS), command, service)
    assert b"".join(lines(events)) == content


def test_delivery_of_nothing_but_life(service):
    command = shell("echo out; echo err >&2")
    events = of(service.subscribe(delivery=Delivery.NONE), command, service)
    assert [event.kind for event in events] == [
        EventKind.STARTED,
        EventKind.EXITED,
        EventKind.CLOSED,
    ]


def test_named_subscription_sees_those_that_name_it(service):
    named = service.subscribe(scope=Subscribe.NAMED)
    everything = service.subscribe()
    Command("echo", "unseen").spawn(service)
    seen = Command("echo", "seen", subscriptions=[named]).spawn(service)
    assert list(follow(everything, 2)) == [1, 2]
    assert list(follow(named)) == [seen.id]


def test_subscription_sees_what_is_spawned_later(service, gate):
    Command("cat", stdin=gate.fd).spawn(service)
    subscription = service.subscribe()
    later = Command("true").spawn(service)
    gate.open()
    service.close(CloseMode.LEAVE)
    assert {event.process_id for event in subscription} == {later.id}


def test_many_at_once(service):
    count = scaled(100)
    subscription = service.subscribe()
    script = 'i=0; while [ $i -lt 20 ]; do echo "$1 $i"; echo "$1 $i" >&2; i=$((i+1)); done'
    spawned = {}
    for number in range(count):
        process = shell(script + '; exit "$2"', str(number), str(number % 256)).spawn(service)
        spawned[process.id] = number
    events = follow(subscription, count)
    assert events.keys() == spawned.keys()
    for process_id, number in spawned.items():
        expected = [f"{number} {line}".encode() for line in range(20)]
        own = events[process_id]
        assert lines(own) == expected
        assert lines(own, EventKind.STDERR) == expected
        assert own[-1].exit_code == number % 256
        assert [event.sequence for event in own] == list(range(1, len(own) + 1))


def test_several_takers(service):
    count = scaled(60)
    subscription = service.subscribe()
    taken, lock = defaultdict(list), threading.Lock()

    def take():
        for event in subscription:
            with lock:
                taken[event.process_id].append(event.data)

    takers = [threading.Thread(target=take) for _ in range(4)]
    for taker in takers:
        taker.start()
    for _ in range(count):
        shell("for i in 1 2 3 4 5 6 7 8; do echo $i; done").spawn(service)
    service.close(CloseMode.LEAVE)
    for taker in takers:
        taker.join()
    assert len(taken) == count
    assert all(
        sorted(filter(None, data)) == [b"%d" % i for i in range(1, 9)] for data in taken.values()
    )


def test_reader_that_sleeps_loses_nothing_and_delays_only_its_process(service):
    content = b"0123456789abcde\n" * 65536
    subscription = service.subscribe(queue_bytes=65536, scope=Subscribe.NAMED)
    command = python(
        "import sys; sys.stdout.buffer.write(b'0123456789abcde\\n' * 65536)",
        subscriptions=[subscription],
    )
    stalled = command.spawn(service)
    # No thread takes from the subscription while other processes come and go.
    for _ in range(20):
        assert Command("true").spawn(service).wait(GUARD).ok
    assert stalled.info().closed_monotonic_ns is None
    events = follow(subscription)[stalled.id]
    assert b"".join(line + b"\n" for line in lines(events)) == content
    assert stalled.wait(GUARD).ok


def test_take(service):
    subscription = service.subscribe()
    for timeout in (0, 0.01):
        with pytest.raises(coreproc.TimedOut):
            subscription.take(timeout=timeout)
    shell("for i in 1 2 3 4 5; do echo $i; done").spawn(service).wait(GUARD)
    sizes, kind = [], None
    while kind is not EventKind.CLOSED:
        batch = subscription.take(max_events=2, timeout=GUARD)
        sizes.append(len(batch))
        kind = batch[-1].kind
    assert sum(sizes) == 8
    assert set(sizes) <= {1, 2}


def test_views_are_the_bytes_and_hold_their_batch(service):
    content = bytes(range(256)) * 20_000
    command = python("import sys; sys.stdout.buffer.write(bytes(range(256)) * 20_000)")
    subscription = service.subscribe(delivery=Delivery.CHUNKS)
    process = command.spawn(service)

    def take(max_events=0):
        events = subscription.take(max_events, timeout=GUARD, views=True)
        return [e.data for e in events if e.data], events[-1].kind is EventKind.CLOSED

    views, closed = take(1)
    while not views:
        views, closed = take(1)
    with pytest.raises(TypeError):
        views[0][0] = 1
    # Its process has more, which does not come as long as a view lives.
    until(lambda: process.info().stdout_bytes > sum(map(len, views)))
    with pytest.raises(coreproc.TimedOut):
        subscription.take(timeout=0)
    got = b"".join(views)
    while not closed:
        views = None
        views, closed = take()
        got += b"".join(views)
    assert got == content

    again = command.spawn(service)
    views, closed = take()
    while not views:
        views, closed = take()
    again.kill()
    again.wait_exit(GUARD)
    for handle in (subscription, process, again):
        handle.release()
    got = b"".join(views)
    assert got == content[: len(got)]


def test_stream_ends_with_its_service(service):
    subscription = service.subscribe()
    Command("true").spawn(service)
    service.close(CloseMode.LEAVE)
    assert list(subscription)[-1].kind is EventKind.CLOSED
    with pytest.raises(coreproc.Closed):
        subscription.take()


def test_close_ends_the_stream_for_those_who_wait(service):
    subscription = service.subscribe()
    ended = []
    takers = [threading.Thread(target=lambda: ended.append(list(subscription))) for _ in range(3)]
    for taker in takers:
        taker.start()
    subscription.close()
    for taker in takers:
        taker.join()
    assert ended == [[]] * 3
    subscription.close()
    assert list(subscription) == []


def test_close_lifts_the_backpressure(service):
    subscription = service.subscribe(queue_bytes=4096)
    process = Command("head", "-c", "10000000", "/dev/zero").spawn(service)
    subscription.close()
    assert process.wait(GUARD).stdout_bytes == 10_000_000


def test_block_closes(service):
    with service.subscribe() as subscription:
        pass
    with pytest.raises(coreproc.Closed):
        subscription.take()


def test_descriptor_is_readable_when_there_is_something(service):
    subscription = service.subscribe()
    with pytest.raises(coreproc.TimedOut):
        subscription.take(timeout=0)
    assert select.select([subscription], [], [], 0)[0] == []
    process = Command("cat", stdin=Stdio.PIPE).spawn(service)
    assert select.select([subscription], [], [], GUARD)[0] == [subscription]
    assert subscription.take(timeout=0)[0].kind is EventKind.STARTED
    process.close_stdin()
    subscription.close()
    assert select.select([subscription], [], [], GUARD)[0] == [subscription]


@pytest.mark.parametrize(
    "options",
    [
        {"delivery": 99},
        {"scope": 99},
        {"queue_bytes": 0},
        {"queue_bytes": -1},
        {"max_line_bytes": 0},
    ],
    ids=repr,
)
def test_bad_options_are_refused(service, options):
    with pytest.raises(coreproc.InvalidArgument, match=next(iter(options))):
        service.subscribe(**options)


class LaterLibrary:
    """A library of a later version: its events are longer, and it has a kind unknown here."""

    def __init__(self):
        class LongerEvent(ctypes.Structure):
            _fields_ = (
                ("event", ctypes.c_ubyte * _abi.EVENT_SIZE),
                ("added", ctypes.c_uint64),
            )

        self._text = ctypes.create_string_buffer(b"text")
        self._events = (LongerEvent * 2)()
        no_run = (0, _abi.NO_SPEC, 0, 0, 0)
        packed = [
            (kind, 0, 7, number, 1, 2, 3, -1, 0, 0, ctypes.addressof(self._text), 4, *no_run)
            for number, kind in ((1, 99), (2, EventKind.STDOUT))
        ]
        layout = subscription_module._layout(_abi.EVENT_SIZE)
        for event, values in zip(self._events, packed):
            event.event[:] = list(layout.pack(*values))
            event.added = 2**64 - 1

    def coreproc_batch_events(self, _, count, stride):
        count._obj.value = len(self._events)
        stride._obj.value = ctypes.sizeof(self._events[0])
        return ctypes.addressof(self._events)


def test_events_of_a_later_library_are_read(monkeypatch):
    monkeypatch.setattr(subscription_module, "lib", LaterLibrary())
    (event,) = subscription_module._decode(ctypes.c_void_p())
    assert (event.kind, event.sequence, event.data) == (EventKind.STDOUT, 2, b"text")


@pytest.mark.parametrize("overflow", [coreproc.Overflow.DROP_OLDEST, coreproc.Overflow.DROP_NEWEST])
def test_a_full_queue_drops_and_says_how_much(service, overflow):
    kinds = [EventKind.STDOUT, EventKind.CLOSED]
    subscription = service.subscribe(overflow=overflow, queue_bytes=1000, kinds=kinds)
    Command("seq", "100000").spawn(service).wait(GUARD)
    events = next(iter(follow(subscription).values()))
    dropped = [event.data.split() for event in events if event.kind is EventKind.OVERFLOW]
    delivered = [event.data for event in events if event.kind is EventKind.STDOUT]
    assert sum(int(count) for _, count in dropped) + len(delivered) == 100_000
    assert (
        sum(int(count) for count, _ in dropped) + sum(len(line) + 1 for line in delivered)
        == 588_895
    )
    assert dropped
    assert {event.kind for event in events} == {EventKind.OVERFLOW, *kinds}


def test_output_as_utf8(service):
    subscription = service.subscribe(encoding=coreproc.Encoding.UTF8)
    events = of(subscription, writer(b"gr\xc3\xbcn\nr\xfft\n"), service)
    outputs = [(e.data.decode(), e.flags) for e in events if e.kind is EventKind.STDOUT]
    assert outputs == [("grün", Flag(0)), ("r\N{REPLACEMENT CHARACTER}t", Flag.REPLACED)]


def test_batches_have_a_limit(service):
    subscription = service.subscribe(kinds=[EventKind.STDOUT], batch_events=2)
    writer(b"1\n2\n3\n").spawn(service).wait(GUARD)
    assert [len(subscription.take()) for _ in range(2)] == [2, 1]


def test_kinds_that_cannot_be_asked_for(service):
    with pytest.raises(ValueError, match="kinds"):
        service.subscribe(kinds=[EventKind.OVERFLOW])
