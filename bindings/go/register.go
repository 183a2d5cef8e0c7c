package process

import (
	"context"

	"dappco.re/go/core"
)

// This file is how a service joins a Core. Cores differ: up to v0.7 there are tasks, which PERFORM hands to whoever
// registered for them; since v0.8 core.Task is something else, and the tasks of this package are messages like others.
// What a Core has is asked while the program runs, so that one source compiles with both.

// performer is a Core that has tasks. What a Task is, is for that Core to say.
type performer interface {
	RegisterTask(func(*core.Core, core.Task) core.Result)
}

// registrar is a Core that keeps instances of services, as WithService of core does with what Register gives it.
type registrar interface {
	RegisterService(name string, instance any) core.Result
}

const (
	serviceName = "process"
	// lifeName is for a Core that is yet to get the service itself under serviceName.
	lifeName = "process.life"
)

// Register makes a service with the default options and adds it to the Core as "process", which starts and stops
// it from then on: once for a Core, which has one service of a name. Value is the *Service. It does not become the
// default service.
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
		// A name that is taken is that of a service that is there already, and that one lives with the Core.
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

// contextOf is the Core's context.
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

// performsFor has the service answer tasks, if the Core has them.
func (s *Service) performsFor(c *core.Core) bool {
	old, ok := any(c).(performer)
	if ok {
		old.RegisterTask(func(c *core.Core, task core.Task) core.Result { return s.perform(c, task) })
	}
	return ok
}

// HandleIPCEvents hears the messages of a Core that finds it by its name, as those since v0.8 do. It starts the service
// with core.ActionServiceStartup, answers tasks from then on unless OnStartup was called for that, and does what
// OnShutdown does at core.ActionServiceShutdown.
func (s *Service) HandleIPCEvents(c *core.Core, message core.Message) core.Result {
	if s == nil {
		return core.Result{Value: ErrServiceNotInitialized}
	}
	switch message.(type) {
	case core.ActionServiceStartup:
		// A Core may hold its handlers while it calls one, so that this one registers no other.
		s.tasks.Do(func() {
			if c == nil || !s.performsFor(c) {
				s.hears.Store(true)
			}
		})
		return core.Result{OK: true}
	case core.ActionServiceShutdown:
		// OK in any case: one that is not would keep the message from the services behind this one.
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

// answer performs a message that is a task of this package. Any other is not the service's business, which is OK.
func (s *Service) answer(c *core.Core, message core.Message) core.Result {
	result := s.perform(c, message)
	if !result.OK && result.Value == nil {
		return core.Result{OK: true}
	}
	return result
}
