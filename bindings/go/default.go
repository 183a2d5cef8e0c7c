package process

import (
	"context"
	"os"
	"sync"
	"sync/atomic"

	"dappco.re/go/core"
)

var (
	defaultService atomic.Pointer[Service]
	initializing   sync.Mutex
)

// Default returns the service that the functions of this package use, or nil.
func Default() *Service { return defaultService.Load() }

// SetDefault replaces the default service.
func SetDefault(service *Service) error {
	if service == nil {
		return ErrSetDefaultNil
	}
	defaultService.Store(service)
	return nil
}

// Init makes a default service that broadcasts to the Core, with the default options. If there is a default service
// already, Init does nothing, and the Core hears nothing. The Core does not start and stop this service: its tasks are
// answered after Default().OnStartup, and its processes outlive the Core unless Default().OnShutdown ends them. For a
// service that lives as long as its Core, use Register, and SetDefault if the functions of this package are to use it.
func Init(c *core.Core) error {
	initializing.Lock()
	defer initializing.Unlock()
	if Default() != nil {
		return nil
	}
	made, err := NewService(Options{})(c)
	if err != nil {
		return err
	}
	defaultService.CompareAndSwap(nil, made.(*Service))
	return nil
}

// Start is [Service.Start] of the default service. Without a default service, the functions of this package that use it
// return ErrServiceNotInitialized.
func Start(ctx context.Context, command string, args ...string) (*Process, error) {
	return StartWithOptions(ctx, RunOptions{Command: command, Args: args})
}

// StartWithOptions is [Service.StartWithOptions] of the default service.
func StartWithOptions(ctx context.Context, options RunOptions) (*Process, error) {
	service := Default()
	if service == nil {
		return nil, ErrServiceNotInitialized
	}
	return service.StartWithOptions(ctx, options)
}

// Run is [Service.Run] of the default service.
func Run(ctx context.Context, command string, args ...string) (string, error) {
	return RunWithOptions(ctx, RunOptions{Command: command, Args: args})
}

// RunWithOptions is [Service.RunWithOptions] of the default service.
func RunWithOptions(ctx context.Context, options RunOptions) (string, error) {
	service := Default()
	if service == nil {
		return "", ErrServiceNotInitialized
	}
	return service.RunWithOptions(ctx, options)
}

// Get is [Service.Get] of the default service.
func Get(id string) (*Process, error) { return Default().Get(id) }

// List is [Service.List] of the default service; nil if there is none.
func List() []*Process { return Default().List() }

// Running is [Service.Running] of the default service; nil if there is none.
func Running() []*Process { return Default().Running() }

// Kill is [Service.Kill] of the default service.
func Kill(id string) error { return Default().Kill(id) }

// KillPID is [Service.KillPID] of the default service.
func KillPID(pid int) error { return Default().KillPID(pid) }

// Signal is [Service.Signal] of the default service.
func Signal(id string, signal os.Signal) error { return Default().Signal(id, signal) }

// SignalPID is [Service.SignalPID] of the default service.
func SignalPID(pid int, signal os.Signal) error { return Default().SignalPID(pid, signal) }

// Input is [Service.Input] of the default service.
func Input(id, input string) error { return Default().Input(id, input) }

// CloseStdin is [Service.CloseStdin] of the default service.
func CloseStdin(id string) error { return Default().CloseStdin(id) }

// Wait is [Service.Wait] of the default service.
func Wait(id string) (Info, error) { return Default().Wait(id) }

// Output is [Service.Output] of the default service.
func Output(id string) (string, error) { return Default().Output(id) }

// Remove is [Service.Remove] of the default service.
func Remove(id string) error { return Default().Remove(id) }

// Clear is [Service.Clear] of the default service.
func Clear() { Default().Clear() }
