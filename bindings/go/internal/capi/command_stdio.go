package capi

/*
#include <coreproc.h>
*/
import "C"

import (
	"fmt"
	"math"
)

// Group says which process group a child is in.
type Group uint32

// The process groups of a child. By default it leads its own.
const (
	GroupOwn     Group = C.COREPROC_GROUP_OWN
	GroupInherit Group = C.COREPROC_GROUP_INHERIT // that of this program
)

// Group sets which process group the child is in.
func (c *Command) Group(group Group) error {
	pointer, err := c.acquire()
	if err != nil {
		return err
	}
	defer c.release()
	var cerr *C.coreproc_error
	return check(C.coreproc_command_group(pointer, C.uint32_t(group), &cerr), cerr)
}

// StdioFd makes a descriptor a standard stream of the child. The library has duplicated it when this
// returns.
func (c *Command) StdioFd(stream Stream, fd uintptr) error {
	if fd > math.MaxInt32 {
		const op = "command_stdio_fd"
		return &Error{Result: ErrInvalidArgument, Op: op, Message: fmt.Sprintf("%s: the file is closed", op)}
	}
	pointer, err := c.acquire()
	if err != nil {
		return err
	}
	defer c.release()
	var cerr *C.coreproc_error
	return check(C.coreproc_command_stdio_fd(pointer, C.uint32_t(stream), C.int32_t(fd), &cerr), cerr)
}

// Subscribe has a subscription to named processes see those of this command.
func (c *Command) Subscribe(subscription *Subscription) error {
	pointer, err := c.acquire()
	if err != nil {
		return err
	}
	defer c.release()
	named, err := subscription.acquire()
	if err != nil {
		return err
	}
	defer subscription.release()
	var cerr *C.coreproc_error
	return check(C.coreproc_command_subscribe(pointer, named, &cerr), cerr)
}
