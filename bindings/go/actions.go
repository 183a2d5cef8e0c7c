package process

import "time"

// Stream names an output of a process.
type Stream string

// The outputs of a process.
const (
	StreamStdout Stream = "stdout"
	StreamStderr Stream = "stderr"
)

// ActionProcessStarted says that a process runs.
type ActionProcessStarted struct {
	ID      string
	Command string
	Args    []string
	Dir     string
	PID     int
}

// ActionProcessOutput is a line of output, without its "\n" or "\r\n". A line longer than 4 MiB comes in pieces
// of that size. Lines share memory with their neighbours: if a line is kept for long, keep a strings.Clone of it.
type ActionProcessOutput struct {
	ID     string
	Line   string
	Stream Stream
}

// ActionProcessKilled says that a signal ended the process. If Kill sent that signal, it comes before Kill returns, unless
// other handlers of the process take so long that Kill stops waiting for them.
type ActionProcessKilled struct {
	ID     string
	Signal string // name of the signal, such as "SIGTERM"
}

// ActionProcessExited is the last message of a process. Of a process that could not be started it is the only one.
type ActionProcessExited struct {
	ID       string
	ExitCode int // -1 if a signal ended it, it was not started, or the kernel would not tell
	Duration time.Duration
	Error    error // what Wait returns; after a failed start, what Start returns
}
