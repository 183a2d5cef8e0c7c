// Package capi is coreproc's C ABI in Go, and the only package here that uses cgo.
//
// It converts and does nothing else: a type for each C handle, errors as [*Error], events as
// values. What holds for all of it:
//
//   - A handle is freed by its Close or, when that is forgotten, by the garbage collector.
//     Close may race with any call: the handle is freed when the last call under way has
//     returned, and later calls give [ErrClosed].
//   - [Command], [Pipeline] and [Batch] are for one goroutine at a time, all others for several at
//     once, but [Subscription.Next] for one.
//   - A wait in C holds an operating system thread. Waits for processes are none of these
//     ([Subscription.Next] waits in Go's own poller); [Run.Wait], and [Process.Write] with a
//     timeout, are.
package capi
