package process

import (
	"context"

	"dappco.re/go/core"
)

// This file joins a service to a Core. Cores differ: up to v0.7 there are tasks, which PERFORM hands to the handlers
// that are registered for them; since v0.8 core.Task is something else, and the tasks of this package are messages like
// others. The code asks the Core at run time which of them it has, so that one source compiles with both.

// performer is a Core that has tasks. The Core defines what a Task is.
type performer interface {
	RegisterTask(func(*core.Core, core.Task) core.Result)
}

// registrar is a Core that keeps instances of services: its WithService registers what Register returns.
type registrar interface {
	RegisterService(name string, instance any) core.Result
}

const (
	serviceName = "process"
	// lifeName is the name of the start and stop functions in a Core that registers the service itself as serviceName.
	lifeName = "process.life"
)

// Register makes a service with the default options and adds it to the Core as "process"; the Core starts and stops it
// from then on. A Core has one service of a name, so Register works once for a Core. Value is the *Service. It does not
// become the default service.
//
// Since v0.8 of Core, core.New(core.WithService(process.Register)) calls it, and core.ServiceFor finds the service.
func Register(c *core.Core) core.Result {
	made, err := NewService(Options{})(c)
	if err != nil {
		return core.Result{Value: err}
	}
	service := made.(*Service)
	if c != nil {
		name := serviceName
		if _, ok := any(c).(registrar); ok {
			name = lifeName
		}
		// If the name is taken, the Core has such a service already, and starts and stops that one.
		c.Service(name, core.Service{
			OnStart: func() core.Result { return resultOf(service.OnStartup(contextOf(c))) },
			OnStop:  func() core.Result { return resultOf(service.OnShutdown(contextOf(c))) },
		})
	}
	return core.Result{Value: service, OK: true}
}

func resultOf(err error) core.Result {
	if err != nil {
		return core.Result{Value: err}
	}
	return core.Result{OK: true}
}

// contextOf returns the context of the Core.
func contextOf(c *core.Core) context.Context {
	if c != nil {
		if ctx := c.Context(); ctx != nil {
			return ctx
		}
	}
	return context.Background()
}

// OnStartup has the service answer the tasks of this package from now on. It may be called again.
func (s *Service) OnStartup(ctx context.Context) error {
	if s == nil {
		return ErrServiceNotInitialized
	}
	if ctx == nil {
		return ErrContextRequired
	}
	if c := s.listeners(); c != nil {
		s.tasks.Do(func() {
			if !s.performsFor(c) {
				c.RegisterAction(s.answer)
			}
		})
	}
	return nil
}

// performsFor has the service answer tasks if the Core has them, and reports whether it has.
func (s *Service) performsFor(c *core.Core) bool {
	old, ok := any(c).(performer)
	if ok {
		old.RegisterTask(func(c *core.Core, task core.Task) core.Result { return s.perform(c, task) })
	}
	return ok
}

// HandleIPCEvents hears the messages of a Core that finds this method by its name, as Cores since v0.8 do. At
// core.ActionServiceStartup it starts the service, and it answers tasks from then on, unless it does so already because
// of OnStartup; at core.ActionServiceShutdown it does what OnShutdown does.
func (s *Service) HandleIPCEvents(c *core.Core, message core.Message) core.Result {
	if s == nil {
		return core.Result{Value: ErrServiceNotInitialized}
	}
	switch message.(type) {
	case core.ActionServiceStartup:
		// A Core may lock its handlers while it calls one, so this handler registers no other.
		s.tasks.Do(func() {
			if c == nil || !s.performsFor(c) {
				s.hears.Store(true)
			}
		})
		return core.Result{OK: true}
	case core.ActionServiceShutdown:
		// OK in any case: otherwise the services after this one would not get the message.
		if err := s.OnShutdown(contextOf(c)); err != nil {
			return core.Result{Value: err, OK: true}
		}
		return core.Result{OK: true}
	}
	if s.hears.Load() {
		return s.answer(c, message)
	}
	return core.Result{OK: true}
}

// answer performs a message that is a task of this package. For any other message the Result is OK.
func (s *Service) answer(c *core.Core, message core.Message) core.Result {
	result := s.perform(c, message)
	if !result.OK && result.Value == nil {
		return core.Result{OK: true}
	}
	return result
}
