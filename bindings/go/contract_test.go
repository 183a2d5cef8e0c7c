package process_test

import (
	"context"
	"encoding/json"
	"os"
	"syscall"
	"testing"
	"time"

	"dappco.re/go/core"
	"dappco.re/go/core/process"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every name that callers know, with its signature: if this compiles, callers do, too.
var (
	_ func(process.Options) func(*core.Core) (any, error) = process.NewService
	_ func(*core.Core) core.Result                        = process.Register
	_ func() *process.Service                             = process.Default
	_ func(*process.Service) error                        = process.SetDefault
	_ func(*core.Core) error                              = process.Init

	_ func(context.Context, string, ...string) (*process.Process, error)  = process.Start
	_ func(context.Context, process.RunOptions) (*process.Process, error) = process.StartWithOptions
	_ func(context.Context, string, ...string) (string, error)            = process.Run
	_ func(context.Context, process.RunOptions) (string, error)           = process.RunWithOptions
	_ func(string) (*process.Process, error)                              = process.Get
	_ func() []*process.Process                                           = process.List
	_ func() []*process.Process                                           = process.Running
	_ func(string) error                                                  = process.Kill
	_ func(int) error                                                     = process.KillPID
	_ func(string, os.Signal) error                                       = process.Signal
	_ func(int, os.Signal) error                                          = process.SignalPID
	_ func(string, string) error                                          = process.Input
	_ func(string) error                                                  = process.CloseStdin
	_ func(string) (process.Info, error)                                  = process.Wait
	_ func(string) (string, error)                                        = process.Output
	_ func(string) error                                                  = process.Remove
	_ func()                                                              = process.Clear
	_ func(string, error) error                                           = process.ServiceError
	_ func(int) *process.RingBuffer                                       = process.NewRingBuffer
	_ func(process.DaemonOptions) *process.Daemon                         = process.NewDaemon
	_ func(string) *process.HealthServer                                  = process.NewHealthServer
	_ func(string, int) bool                                              = process.WaitForHealth
	_ func(string, int) bool                                              = process.WaitForReady
	_ func(string, int) (bool, string)                                    = process.ProbeHealth
	_ func(string, int) (bool, string)                                    = process.ProbeReady
	_ func(string) *process.PIDFile                                       = process.NewPIDFile
	_ func(string) (int, bool)                                            = process.ReadPID
	_ func(string) *process.Registry                                      = process.NewRegistry
	_ func() *process.Registry                                            = process.DefaultRegistry
	_ func(*process.Service) *process.Runner                              = process.NewRunner

	_ interface {
		Core() *core.Core
		Options() process.Options
		OnStartup(context.Context) error
		OnShutdown(context.Context) error
		HandleIPCEvents(*core.Core, core.Message) core.Result
		Start(context.Context, string, ...string) (*process.Process, error)
		StartWithOptions(context.Context, process.RunOptions) (*process.Process, error)
		Run(context.Context, string, ...string) (string, error)
		RunWithOptions(context.Context, process.RunOptions) (string, error)
		Get(string) (*process.Process, error)
		List() []*process.Process
		Running() []*process.Process
		Kill(string) error
		KillPID(int) error
		Signal(string, os.Signal) error
		SignalPID(int, os.Signal) error
		Input(id, input string) error
		CloseStdin(string) error
		Wait(string) (process.Info, error)
		Output(string) (string, error)
		Remove(string) error
		Clear()
	} = (*process.Service)(nil)

	_ interface {
		Info() process.Info
		Output() string
		OutputBytes() []byte
		IsRunning() bool
		Wait() error
		Done() <-chan struct{}
		Kill() error
		Shutdown() error
		Signal(os.Signal) error
		SendInput(string) error
		CloseStdin() error
	} = (*process.ManagedProcess)(nil)
	_ *process.ManagedProcess = (*process.Process)(nil)

	_ interface {
		Write([]byte) (int, error)
		String() string
		Bytes() []byte
		Len() int
		Cap() int
		Reset()
	} = (*process.RingBuffer)(nil)

	_ interface {
		Find() error
		Run(context.Context, ...string) (string, error)
		RunDir(context.Context, string, ...string) (string, error)
	} = (*process.Program)(nil)

	_ interface {
		Start() error
		Run(context.Context) error
		Stop() error
		SetReady(bool)
		Ready() bool
		HealthAddr() string
	} = (*process.Daemon)(nil)

	_ interface {
		AddCheck(process.HealthCheck)
		SetReady(bool)
		Ready() bool
		Start() error
		Stop(context.Context) error
		Addr() string
	} = (*process.HealthServer)(nil)
	_ process.HealthCheck = func() error { return nil }

	_ interface {
		Acquire() error
		Release() error
		Path() string
	} = (*process.PIDFile)(nil)

	_ interface {
		Register(process.DaemonEntry) error
		Unregister(code, daemon string) error
		Get(code, daemon string) (*process.DaemonEntry, bool)
		List() ([]process.DaemonEntry, error)
	} = (*process.Registry)(nil)

	_ interface {
		RunAll(context.Context, []process.RunSpec) (*process.RunAllResult, error)
		RunSequential(context.Context, []process.RunSpec) (*process.RunAllResult, error)
		RunParallel(context.Context, []process.RunSpec) (*process.RunAllResult, error)
	} = (*process.Runner)(nil)

	_ interface{ Passed() bool }  = process.RunResult{}
	_ interface{ Success() bool } = process.RunAllResult{}
	_ error                       = (*process.TaskProcessWaitError)(nil)
	_ interface {
		error
		ExitCode() int
		Signal() syscall.Signal
	} = (*process.ExitError)(nil)

	_ = []error{
		process.ErrProcessNotFound, process.ErrProcessNotRunning, process.ErrStdinNotAvailable, process.ErrContextRequired,
		process.ErrServiceNotInitialized, process.ErrSetDefaultNil, process.ErrProgramNotFound,
		process.ErrProgramContextRequired, process.ErrProgramNameRequired, process.ErrDaemonContextRequired,
		process.ErrRunnerNoService, process.ErrRunnerContextRequired, process.ErrRunnerInvalidSpecName,
		process.ErrRunnerInvalidDependencyName,
	}
)

// Every field that callers know, with its type.
var (
	_ = process.Service{ServiceRuntime: (*core.ServiceRuntime[process.Options])(nil)}
	_ = process.Options{BufferSize: int(1)}
	_ = process.RunOptions{
		Command: "", Args: []string{}, Dir: "", Env: []string{}, DisableCapture: false, Detach: false,
		Timeout: time.Duration(0), GracePeriod: time.Duration(0), KillGroup: false,
	}
	_ = process.Info{
		ID: "", Command: "", Args: []string{}, Dir: "", StartedAt: time.Time{}, Running: false,
		Status: process.StatusPending, ExitCode: int(0), Duration: time.Duration(0), PID: int(0),
	}
	_ = process.ManagedProcess{
		ID: "", Command: "", Args: []string{}, Dir: "", Env: []string{}, StartedAt: time.Time{},
		Status: process.StatusPending, ExitCode: int(0), Duration: time.Duration(0),
	}
	_ = process.ActionProcessStarted{ID: "", Command: "", Args: []string{}, Dir: "", PID: int(0)}
	_ = process.ActionProcessOutput{ID: "", Line: "", Stream: process.StreamStdout}
	_ = process.ActionProcessKilled{ID: "", Signal: ""}
	_ = process.ActionProcessExited{ID: "", ExitCode: int(0), Duration: time.Duration(0), Error: error(nil)}

	_ = []core.Message{
		process.TaskProcessStart{
			Command: "", Args: []string{}, Dir: "", Env: []string{}, DisableCapture: false, Detach: false,
			Timeout: time.Duration(0), GracePeriod: time.Duration(0), KillGroup: false,
		},
		process.TaskProcessRun{
			Command: "", Args: []string{}, Dir: "", Env: []string{}, DisableCapture: false, Detach: false,
			Timeout: time.Duration(0), GracePeriod: time.Duration(0), KillGroup: false,
		},
		process.TaskProcessKill{ID: "", PID: int(0)},
		process.TaskProcessSignal{ID: "", PID: int(0), Signal: syscall.SIGTERM},
		process.TaskProcessGet{ID: ""}, process.TaskProcessWait{ID: ""}, process.TaskProcessOutput{ID: ""},
		process.TaskProcessInput{ID: "", Input: ""}, process.TaskProcessCloseStdin{ID: ""},
		process.TaskProcessRemove{ID: ""}, process.TaskProcessList{RunningOnly: false}, process.TaskProcessClear{},
	}
	_ = process.TaskProcessWaitError{Info: process.Info{}, Err: error(nil)}
	_ = process.Program{Name: "", Path: ""}
	_ = process.DaemonOptions{
		PIDFile: "", ShutdownTimeout: time.Duration(0), HealthAddr: "", HealthChecks: []process.HealthCheck{},
		Registry: (*process.Registry)(nil), RegistryEntry: process.DaemonEntry{},
	}
	_ = process.DaemonEntry{Code: "", Daemon: "", PID: int(0), Health: "", Project: "", Binary: "", Started: time.Time{}}
	_ = process.RunSpec{
		Name: "", Command: "", Args: []string{}, Dir: "", Env: []string{}, After: []string{}, AllowFailure: false,
	}
	_ = process.RunResult{
		Name: "", Spec: process.RunSpec{}, ExitCode: int(0), Duration: time.Duration(0), Output: "", Error: error(nil),
		Skipped: false,
	}
	_ = process.RunAllResult{
		Results: []process.RunResult{}, Duration: time.Duration(0), Passed: int(0), Failed: int(0), Skipped: int(0),
	}
)

func TestContract_constants_have_their_values(t *testing.T) {
	assert.Equal(t, 1024*1024, process.DefaultBufferSize)
	assert.Equal(t, []process.Status{"pending", "running", "exited", "failed", "killed"}, []process.Status{
		process.StatusPending, process.StatusRunning, process.StatusExited, process.StatusFailed, process.StatusKilled,
	})
	assert.Equal(t, []process.Stream{"stdout", "stderr"}, []process.Stream{process.StreamStdout, process.StreamStderr})
}

func TestContract_Info_has_the_JSON_of_its_fields(t *testing.T) {
	text, err := json.Marshal(process.Info{
		ID: "proc-1", Command: "echo", Args: []string{"a"}, Dir: "/", StartedAt: time.Unix(0, 0).UTC(), Running: true,
		Status: process.StatusRunning, ExitCode: 7, Duration: 5, PID: 3,
	})
	require.NoError(t, err)
	assert.JSONEq(t, `{"id":"proc-1","command":"echo","args":["a"],"dir":"/","startedAt":"1970-01-01T00:00:00Z",
		"running":true,"status":"running","exitCode":7,"duration":5,"pid":3}`, string(text))
}

func TestContract_results_as_literals_tell_what_their_fields_say(t *testing.T) {
	assert.True(t, process.RunResult{}.Passed())
	assert.False(t, process.RunResult{ExitCode: 1}.Passed())
	assert.False(t, process.RunResult{Skipped: true}.Passed())
	assert.False(t, process.RunResult{Error: assert.AnError}.Passed())
	assert.True(t, process.RunAllResult{Passed: 2}.Success())
	assert.True(t, process.RunAllResult{Passed: 2, Skipped: 1}.Success())
	assert.False(t, process.RunAllResult{Passed: 2, Failed: 1}.Success())
	assert.True(t, (&process.RunAllResult{}).Success())
}
