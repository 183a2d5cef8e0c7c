// Package core is a stand-in for dappco.re/go/core at v0.4.7, which cannot be downloaded in the places where this
// repository is built. It has the parts that package process and its tests use and nothing else: messages, tasks, and
// the life cycle of services. It was written from that use, not from Core's sources.
//
// This repository builds against it by a replace in its go.mod. Go ignores a replace in the go.mod of a dependency, so
// programs that import dappco.re/go/core/process get the real Core.
package core

import (
	"context"
	"slices"
	"sync"
)

// Message is what [Core.ACTION] broadcasts.
type Message any

// Task is what [Core.PERFORM] has done.
type Task any

// Result is the answer of a handler.
type Result struct {
	Value any
	OK    bool
}

// Option is one setting of a Core.
type Option struct {
	Key   string
	Value any
}

// Options are settings of a Core.
type Options []Option

// Core connects services by messages and tasks. It may be used by several goroutines at once.
type Core struct {
	mu       sync.RWMutex
	actions  []func(*Core, Message) Result
	tasks    []func(*Core, Task) Result
	services []namedService
	ctx      context.Context
	cancel   context.CancelFunc
}

// New makes a Core. The settings mean nothing to the stand-in.
func New(...Options) *Core {
	c := new(Core)
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// RegisterAction adds a handler for messages.
func (c *Core) RegisterAction(handler func(*Core, Message) Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.actions = append(slices.Clip(c.actions), handler)
}

// RegisterTask adds a handler for tasks.
func (c *Core) RegisterTask(handler func(*Core, Task) Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tasks = append(slices.Clip(c.tasks), handler)
}

// ACTION hands a message to the handlers in the order of their registration, and stops at the first whose
// Result is not OK, which it returns.
func (c *Core) ACTION(message Message) Result {
	c.mu.RLock()
	handlers := c.actions
	c.mu.RUnlock()
	for _, handler := range handlers {
		if result := handler(c, message); !result.OK {
			return result
		}
	}
	return Result{OK: true}
}

// PERFORM returns the first Result that is OK, or a zero Result.
func (c *Core) PERFORM(task Task) Result {
	c.mu.RLock()
	handlers := c.tasks
	c.mu.RUnlock()
	for _, handler := range handlers {
		if result := handler(c, task); result.OK {
			return result
		}
	}
	return Result{}
}

// Context lives until [Core.ServiceShutdown].
func (c *Core) Context() context.Context {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.ctx
}
