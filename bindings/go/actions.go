package process

import (
	"time"
)

// Stream names an output of a process.
type Stream string

// The outputs of a process.
const (
	StreamStdout Stream = "stdout"
	StreamStderr Stream = "stderr"
)

// ActionProcessStarted says that a process runs. It comes before Start returns.
type ActionProcessStarted struct {
	ID      string
	Command string
	Args    []string
	Dir     string
	PID     int
}

// ActionProcessOutput is a line of output, without its "\n" or "\r\n". A line longer than 1 MiB
// comes in pieces. Lines share memory: strings.Clone a line that is kept for long.
type ActionProcessOutput struct {
	ID     string
	Line   string
	Stream Stream
}

// ActionProcessKilled says that a signal ended the process. It comes before ActionProcessExited.
type ActionProcessKilled struct {
	ID     string
	Signal string // its name, such as "SIGTERM"
}

// ActionProcessExited is the last that is heard of a process, or all that is heard of one that
// could not be started.
type ActionProcessExited struct {
	ID       string
	ExitCode int // -1 if a signal ended it, or it was not started
	Duration time.Duration
	Error    error // what Wait returns
}
