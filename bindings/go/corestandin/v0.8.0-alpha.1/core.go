// Package core is a stand-in for dappco.re/go/core at v0.8.0-alpha.1, which cannot be downloaded in the places where
// this repository is built. It has the parts that package process and its tests use and nothing else: messages, and the
// life cycle of services. It was written from that use, not from Core's sources.
//
// Every Go test of this repository runs against it and against the stand-in for v0.4.7: tools/test-go puts it in the
// place of that one.
package core

import (
	"context"
	"slices"
	"sync"
)

// Message is what [Core.ACTION] broadcasts.
type Message any

// Task is a plan of named steps. It has nothing to do with messages: no Core of this version answers one.
type Task struct {
	Name        string
	Description string
	Steps       []Step
}

// Step is a part of a Task.
type Step struct {
	Action string
	With   Options
}

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
	services []namedService
	ctx      context.Context
	cancel   context.CancelFunc
}

// CoreOption is a function that New applies to a Core.
type CoreOption func(*Core) Result

// New makes a Core and applies the options to it, in their order. It ignores their Results.
func New(options ...CoreOption) *Core {
	c := new(Core)
	c.ctx, c.cancel = context.WithCancel(context.Background())
	for _, option := range options {
		option(c)
	}
	return c
}

// RegisterAction adds a handler for messages.
func (c *Core) RegisterAction(handler func(*Core, Message) Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.actions = append(slices.Clip(c.actions), handler)
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

// Context lives until [Core.ServiceShutdown].
func (c *Core) Context() context.Context {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.ctx
}
