// Package run runs commands to their end, for package exec and for process.Program.
//
// A [Spec] says what to run and what its streams are (spec.go), a [Child] is a command that was started (child.go). All
// commands are processes of one service of the library, which starts with the first one (service.go). A command pays
// only for what it needs: a stream that is a file is the child's own, output that is asked for at the end stays with
// the library until then, and only output to a Writer (output.go) and input from a Reader (input.go) go through Go. No
// goroutine waits for a command, and no thread.
package run
