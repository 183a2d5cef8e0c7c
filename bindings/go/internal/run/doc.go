// Package run runs commands to their end, for package exec and for process.Program.
//
// All of them are processes of one service of the library, which starts with the first. What a command
// needs not costs nothing: a stream that is a file is the child's own, output that is asked for at the end
// stays with the library until then, and only an output that goes to a Writer comes through Go as it is
// written. No goroutine waits for a command, and no thread.
package run
