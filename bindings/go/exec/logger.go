package exec

import "sync/atomic"

// Logger is told what is run. It must be safe for concurrent use. keyvals are keys and values in turn.
type Logger interface {
	// Debug is called once for each command that starts, with "executing command", cmd and args.
	Debug(msg string, keyvals ...any)
	// Error is called once for each command that fails, with "command failed", cmd, args and err.
	Error(msg string, keyvals ...any)
}

// NopLogger is a Logger that does nothing, and the default.
type NopLogger struct{}

// Debug does nothing.
func (NopLogger) Debug(string, ...any) {}

// Error does nothing.
func (NopLogger) Error(string, ...any) {}

var defaultLogger atomic.Pointer[Logger]

// SetDefaultLogger sets the Logger of commands that have none of their own; nil means NopLogger. It may be called by
// several goroutines at once.
func SetDefaultLogger(logger Logger) {
	if logger == nil {
		logger = NopLogger{}
	}
	defaultLogger.Store(&logger)
}

// DefaultLogger returns the Logger of commands that have none of their own.
func DefaultLogger() Logger {
	if logger := defaultLogger.Load(); logger != nil {
		return *logger
	}
	return NopLogger{}
}
