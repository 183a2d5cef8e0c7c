// Package capi is coreproc's C ABI in Go, and the only package here that uses cgo.
//
// It converts and does nothing else: a type for each C handle, errors as [*Error], events as
// values. What holds for all of it:
//
//   - A handle is freed by its Close or, when that is forgotten, by the garbage collector.
//     Close may race with any call: the handle is freed when the last call under way has
//     returned, and later calls give [ErrClosed].
//   - [Service], [Process] and [Subscription] may be used by several goroutines at once,
//     [Command] and [Batch] by one at a time.
//   - Nothing here waits for a process in C, where each wait would hold an operating system
//     thread. [Subscription.Next] waits in Go's own poller.
package capi
