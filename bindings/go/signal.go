package process

import (
	"syscall"

	"dappco.re/go/core/process/internal/signals"
)

// signalName is what kill(1) and people call it; syscall.Signal.String describes instead.
func signalName(signal syscall.Signal) string { return signals.Name(signal) }
