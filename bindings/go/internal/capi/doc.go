// Package capi is coreproc's C ABI in Go, and the only package here that uses cgo.
//
// It converts values and does nothing else. Each C type has a Go type in a file of its name: [Service], [Command],
// [Process], [Subscription] and [Batch]; [Pipeline], [Run], [History] and [Progress]; [PIDFile], [Health], [Registry]
// and [Daemon]. handle.go owns C handles, convert.go converts texts, bytes and durations, error.go turns results into
// errors ([*Error]), and the link_ files say where the library is. For all of it:
//
//   - A handle is freed by its Close or, if Close is not called, by the garbage collector.
//     Close may be called during any call: the handle is freed when the last call under way has
//     returned, and later calls return [ErrClosed].
//   - One goroutine at a time may use a [Command], a [Pipeline], a [History] or a [Batch], or call [Subscription.Next].
//     Several goroutines may use all other types at once.
//   - A wait in C holds an operating system thread. [Subscription.Next] does not wait in C but in Go's own poller;
//     [Run.Wait], [Progress.Watch], [Daemon.Stop], [Health.Stop], [WaitHealth], [ProbeHealth], and [Process.Write] with a
//     timeout wait in C.
package capi
