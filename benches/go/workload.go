package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	process "dappco.re/go/core/process"
)

// spawn CHILD COUNT IN_FLIGHT
func spawn(by contender, args arguments) (figures, error) {
	child, count, inFlight := args.text(0), args.number(1), args.number(2)
	var next atomic.Int64
	var bytes, checksum atomic.Uint64
	failed := make(chan error, inFlight)
	start, cpu := time.Now(), cpuUs()
	var workers sync.WaitGroup
	for range inFlight {
		workers.Go(func() {
			for index := int(next.Add(1)) - 1; index < count; index = int(next.Add(1)) - 1 {
				output, code, err := by.run(child, strconv.Itoa(index))
				if err == nil && code != index%64 {
					err = fmt.Errorf("child %d ended with %d", index, code)
				}
				if err != nil {
					failed <- err
					return
				}
				bytes.Add(uint64(len(output)))
				checksum.Add(sumLines(output))
			}
		})
	}
	workers.Wait()
	seconds, cpu := time.Since(start).Seconds(), cpuUs()-cpu
	select {
	case err := <-failed:
		return nil, err
	default:
	}
	return figures{
		"per_second", float64(count) / seconds, "cpu_us", cpu / float64(count),
		"bytes", bytes.Load(), "checksum", fmt.Sprintf("%016x", checksum.Load()),
	}, nil
}

// output CHILD LINES MODE: MODE is bytes, check or lines
func output(by contender, args arguments) (figures, error) {
	child, lines := args.text(0), args.number(1)
	if args.text(2) == "check" {
		checked := &checker{want: pattern()}
		start := time.Now()
		err := by.delivered(checked, child, strconv.Itoa(lines))
		seconds := time.Since(start).Seconds()
		return figures{"bytes_per_second", float64(checked.seen) / seconds, "bytes", checked.seen}, err
	}
	if args.text(2) == "bytes" {
		start := time.Now()
		tail, err := by.captured(child, strconv.Itoa(lines))
		seconds := time.Since(start).Seconds()
		if err == nil && len(tail) < min(lines*lineBytes, process.DefaultBufferSize) {
			err = fmt.Errorf("%d bytes were kept", len(tail))
		}
		if err == nil {
			err = isEnd(tail, lines*lineBytes)
		}
		return figures{"bytes_per_second", float64(lines*lineBytes) / seconds, "bytes", lines * lineBytes}, err
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var seen, bytes, checksum uint64
	start := time.Now()
	err := by.lines(func(line string) {
		seen++
		bytes += uint64(len(line)) + 1
		checksum = addLine(checksum, line)
	}, child, strconv.Itoa(lines))
	seconds := time.Since(start).Seconds()
	runtime.ReadMemStats(&after)
	return figures{
		"lines_per_second", float64(lines) / seconds, "lines", seen, "bytes", bytes,
		"checksum", fmt.Sprintf("%016x", checksum),
		"allocations_per_line", float64(after.Mallocs-before.Mallocs) / float64(lines),
	}, err
}

// latency CHILD PAGE COUNT HOLD_US
func latency(by contender, args arguments) (figures, error) {
	page, err := mapPage(args.text(1))
	if err != nil {
		return nil, err
	}
	samples := make([]uint64, args.number(2))
	for slot := range samples {
		child, err := by.start(0, args.text(0), args.text(1), strconv.Itoa(slot), args.text(3))
		if err != nil {
			return nil, err
		}
		end, err := child.wait()
		samples[slot] = nowNs() - page.stamp(slot)
		if err != nil || end.code != slot%64 {
			return nil, fmt.Errorf("child %d ended with %v, %w", slot, end, err)
		}
	}
	return figures{"p50_us", percentile(samples, 50) / 1e3, "p99_us", percentile(samples, 99) / 1e3}, nil
}

// idle CHILD PAGE COUNT WARM
func idle(by contender, args arguments) (figures, error) {
	count, warm := args.number(2), args.number(3)
	page, err := mapPage(args.text(1))
	if err != nil {
		return nil, err
	}
	children := make([]live, 0, warm+count)
	more := func(count int) error {
		for range count {
			child, err := by.start(0, args.text(0), args.text(1))
			if err != nil {
				return err
			}
			children = append(children, child)
		}
		page.waitReady(len(children))
		return nil
	}
	if err := more(warm); err != nil {
		return nil, err
	}
	settled := func() (rss float64, goroutines int) {
		for range 3 {
			debug.FreeOSMemory()
			time.Sleep(20 * time.Millisecond)
		}
		_, _ = rssBytes() // the first call takes memory itself
		rss, err := rssBytes()
		if err != nil {
			fail(err)
		}
		return rss, runtime.NumGoroutine()
	}
	rss, goroutines := settled()
	threadsBefore := threads()
	if err := more(count); err != nil {
		return nil, err
	}
	rssAfter, goroutinesAfter := settled()
	printed := figures{
		"rss_per_child", (rssAfter - rss) / float64(count),
		"threads_before", threadsBefore, "threads_after", threads(),
		"goroutines_before", goroutines, "goroutines_after", goroutinesAfter,
	}
	for _, child := range children {
		if err := child.endInput(); err != nil {
			return nil, err
		}
	}
	for index, child := range children {
		if end, err := child.wait(); err != nil || end.code != 0 {
			return nil, fmt.Errorf("child %d ended with %v, %w", index, end, err)
		}
	}
	return printed, nil
}

// stop CHILD PAGE COUNT STUBBORN GRACE_MS
func stop(by contender, args arguments) (figures, error) {
	count, stubborn := args.number(2), args.number(3)
	page, err := mapPage(args.text(1))
	if err != nil {
		return nil, err
	}
	children := make([]live, count)
	for index := range children {
		arguments := []string{args.text(1)}
		if index < stubborn {
			arguments = append(arguments, "stubborn")
		}
		grace := time.Duration(args.number(4)) * time.Millisecond
		if children[index], err = by.start(grace, args.text(0), arguments...); err != nil {
			return nil, err
		}
	}
	page.waitReady(count)
	start := time.Now()
	for _, child := range children {
		child.stop()
	}
	byKill := 0
	for index, child := range children {
		end, err := child.wait()
		if err != nil || end.code != -1 {
			return nil, fmt.Errorf("child %d ended with %v, %w", index, end, err)
		}
		if end.killed {
			byKill++
		}
	}
	return figures{"ms", time.Since(start).Seconds() * 1e3, "by_kill", byKill}, nil
}

// specs CHILD COUNT
func specs(by contender, args arguments) (figures, error) {
	count := args.number(1)
	start := time.Now()
	err := by.all(count, args.text(0))
	return figures{"us_per_spec", time.Since(start).Seconds() * 1e6 / float64(count), "passed", count}, err
}

// ring COUNT: writes of 64 KiB into a ring of 1 MiB.
func ring(args arguments) (figures, error) {
	const size, piece = 1 << 20, 64 << 10
	data := make([]byte, piece)
	for i := range data {
		data[i] = byte(i * 7)
	}
	ring := process.NewRingBuffer(size)
	for range 2 * size / piece {
		_, _ = ring.Write(data)
	}
	count := args.number(0)
	start := time.Now()
	for range count {
		_, _ = ring.Write(data)
	}
	seconds := time.Since(start).Seconds()
	kept := ring.Bytes()
	for i, value := range kept {
		if value != data[i%piece] {
			return nil, fmt.Errorf("byte %d of the ring is wrong", i)
		}
	}
	return figures{"bytes_per_second", float64(count*piece) / seconds, "kept", len(kept)}, nil
}
