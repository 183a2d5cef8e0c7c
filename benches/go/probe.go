package main

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// nowNs reads CLOCK_MONOTONIC, which the children read for their time stamps, too.
func nowNs() uint64 {
	var clock syscall.Timespec
	const monotonic = 1
	_, _, _ = syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, monotonic, uintptr(unsafe.Pointer(&clock)), 0)
	return uint64(clock.Nano())
}

func cpuUs() float64 {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e3
}

// rssBytes returns the resident memory. It is exact, unlike that in statm, which the kernel updates in batches per CPU.
func rssBytes() (float64, error) {
	file, err := os.Open("/proc/self/smaps_rollup")
	if err != nil {
		return 0, err
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if rest, found := strings.CutPrefix(lines.Text(), "Rss:"); found {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib * 1024, err
		}
	}
	return 0, fmt.Errorf("no Rss")
}

func threads() int {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		fail(err)
	}
	return len(tasks)
}

// page is memory that is shared with the children: the number of children that are ready, then a time stamp of each.
type page []byte

func mapPage(path string) (page, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	status, err := file.Stat()
	if err != nil {
		return nil, err
	}
	return syscall.Mmap(int(file.Fd()), 0, int(status.Size()), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
}

func (p page) waitReady(count int) {
	ready := (*uint32)(unsafe.Pointer(&p[0]))
	for atomic.LoadUint32(ready) < uint32(count) {
		time.Sleep(time.Millisecond)
	}
}

func (p page) stamp(slot int) uint64 {
	const stamps = 64
	return atomic.LoadUint64((*uint64)(unsafe.Pointer(&p[stamps+8*slot])))
}

func percentile(samples []uint64, percent int) float64 {
	slices.Sort(samples)
	return float64(samples[min(len(samples)*percent/100, len(samples)-1)])
}
