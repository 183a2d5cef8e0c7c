package core

import (
	"context"
	"errors"
	"path"
	"reflect"
	"slices"
	"strings"
)

// Service is the life cycle of a service; each function may be nil.
type Service struct {
	OnStart  func() Result
	OnStop   func() Result
	OnReload func() Result
	Instance any // what ServiceFor returns
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

// RegisterService adds an instance under a name that is not taken. The instance is started and stopped by its methods
// OnStartup and OnShutdown, each with a context and a Result, if it has them; its HandleIPCEvents hears every message.
func (c *Core) RegisterService(name string, instance any) Result {
	service := Service{Instance: instance}
	if starting, ok := instance.(interface{ OnStartup(context.Context) Result }); ok {
		service.OnStart = func() Result { return starting.OnStartup(c.Context()) }
	}
	if stopping, ok := instance.(interface{ OnShutdown(context.Context) Result }); ok {
		service.OnStop = func() Result { return stopping.OnShutdown(c.Context()) }
	}
	if result := c.Service(name, service); !result.OK {
		return result
	}
	if hearing, ok := instance.(interface{ HandleIPCEvents(*Core, Message) Result }); ok {
		c.RegisterAction(hearing.HandleIPCEvents)
	}
	return Result{OK: true}
}

// WithService has New call a factory and register the instance that the factory returns, if any, under the last element
// of its package path in lower case.
func WithService(factory func(*Core) Result) CoreOption {
	return func(c *Core) Result {
		result := factory(c)
		if !result.OK || result.Value == nil {
			return result
		}
		kind := reflect.TypeOf(result.Value)
		if kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
		}
		return c.RegisterService(strings.ToLower(path.Base(kind.PkgPath())), result.Value)
	}
}

// ServiceFor returns the instance of a service, if there is one of this name and type.
func ServiceFor[T any](c *Core, name string) (T, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, service := range c.services {
		if service.name == name {
			instance, ok := service.Instance.(T)
			return instance, ok
		}
	}
	var none T
	return none, false
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
