// Package engine has what package process and internal/run share above the C ABI (internal/capi):
//
//   - [Feed] pumps the events of a subscription and brings each batch to its receiver, which its table finds
//     (feed.go, table.go).
//   - [NewCommand] says which program is started and with which environment, as os/exec does (command.go,
//     environment.go).
//   - [Exit] and [StartCauses] describe in Go errors how a process ended and why one did not start (errors.go).
//   - [SignalName] names a signal (signal.go).
package engine
