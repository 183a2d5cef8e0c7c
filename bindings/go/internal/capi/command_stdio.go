package capi

/*
#include <coreproc.h>
*/
import "C"

import (
	"encoding/binary"
	"fmt"
	"math"
	"syscall"
)

// Group says which process group a child is in.
type Group uint32

// The process groups of a child. By default it leads its own.
const (
	GroupOwn     Group = C.COREPROC_GROUP_OWN
	GroupInherit Group = C.COREPROC_GROUP_INHERIT // that of this program
)

// Group sets which process group the child is in.
func (c *Command) Group(group Group) {
	c.option(C.COREPROC_FLAT_GROUP, 4)
	*c.flat = binary.LittleEndian.AppendUint32(*c.flat, uint32(group))
}

// Stdio sets where a standard stream goes.
func (c *Command) Stdio(stream Stream, mode StdioMode) {
	c.pair(C.COREPROC_FLAT_STDIO, uint32(stream), uint32(mode))
}

// StdioFd makes a duplicate of a descriptor a standard stream of the child.
func (c *Command) StdioFd(stream Stream, fd uintptr) error {
	const op = "command_stdio_fd"
	if fd > math.MaxInt32 {
		return &Error{Result: ErrInvalidArgument, Op: op, Message: fmt.Sprintf("%s: the file is closed", op)}
	}
	duplicate, _, errno := syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_DUPFD_CLOEXEC, lowestFd)
	if errno != 0 {
		return &Error{Result: ErrSystem, Errno: errno, Op: op, Message: fmt.Sprintf("%s: %v", op, errno)}
	}
	c.files = append(c.files, int(duplicate))
	c.pair(C.COREPROC_FLAT_STDIO_FD, uint32(stream), uint32(duplicate))
	return nil
}

// Subscribe has a subscription to named processes see those of this command.
func (c *Command) Subscribe(subscription *Subscription) { c.named = subscription }
