package core

import (
	"context"
	"errors"
	"slices"
)

// Service is the life cycle of a service; each function may be nil.
type Service struct {
	OnStart  func() Result
	OnStop   func() Result
	OnReload func() Result
}

type namedService struct {
	name string
	Service
}

// Service adds a service under a name that is not taken.
func (c *Core) Service(name string, service Service) Result {
	if name == "" {
		return Result{Value: E("core.Service", "the name is empty", nil)}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.ContainsFunc(c.services, func(other namedService) bool { return other.name == name }) {
		return Result{Value: E("core.Service", "there is a service \""+name+"\" already", nil)}
	}
	c.services = append(slices.Clip(c.services), namedService{name, service})
	return Result{OK: true}
}

// ActionServiceStartup is broadcast once the services have started.
type ActionServiceStartup struct{}

// ActionServiceShutdown is broadcast before the services stop.
type ActionServiceShutdown struct{}

// ServiceStartup starts the services in the order of their registration, up to the first that fails. Then it broadcasts
// ActionServiceStartup.
func (c *Core) ServiceStartup(ctx context.Context, _ any) Result {
	c.mu.Lock()
	c.cancel()
	c.ctx, c.cancel = context.WithCancel(ctx)
	services := c.services
	c.mu.Unlock()
	for _, service := range services {
		if service.OnStart == nil {
			continue
		}
		if result := service.OnStart(); !result.OK {
			return result
		}
	}
	return c.ACTION(ActionServiceStartup{})
}

// ServiceShutdown broadcasts ActionServiceShutdown and stops the services, the last first, all of them.
func (c *Core) ServiceShutdown(context.Context) Result {
	c.ACTION(ActionServiceShutdown{})
	c.mu.Lock()
	services, cancel := c.services, c.cancel
	c.mu.Unlock()
	defer cancel()
	var failures []error
	for _, service := range slices.Backward(services) {
		if service.OnStop == nil {
			continue
		}
		if result := service.OnStop(); !result.OK {
			err, _ := result.Value.(error)
			failures = append(failures, E("core.ServiceShutdown", "\""+service.name+"\" did not stop", err))
		}
	}
	if err := errors.Join(failures...); err != nil {
		return Result{Value: err}
	}
	return Result{OK: true}
}

// ServiceRuntime holds the Core of a service and its options, of type T.
type ServiceRuntime[T any] struct {
	core    *Core
	options T
}

// NewServiceRuntime makes a ServiceRuntime.
func NewServiceRuntime[T any](c *Core, options T) *ServiceRuntime[T] {
	return &ServiceRuntime[T]{core: c, options: options}
}

// Core returns the Core of the service.
func (r *ServiceRuntime[T]) Core() *Core { return r.core }

// Options returns the options of the service.
func (r *ServiceRuntime[T]) Options() T { return r.options }

type failure struct {
	text  string
	cause error
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.cause }

// E is an error that prints as "op: message: cause" and unwraps to its cause, which may be nil.
func E(op, message string, cause error) error {
	text := op + ": " + message
	if cause != nil {
		text += ": " + cause.Error()
	}
	return &failure{text: text, cause: cause}
}
