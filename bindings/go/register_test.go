package process

import (
	"context"
	"testing"

	"dappco.re/go/core"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// join has a Core find a service by HandleIPCEvents: a Core since v0.8 does it itself, an older one is told.
func join(t *testing.T, c *core.Core, service *Service) {
	t.Helper()
	if registrar, ok := any(c).(registrar); ok {
		require.True(t, registrar.RegisterService(serviceName, service).OK)
	} else {
		c.RegisterAction(service.HandleIPCEvents)
	}
}

func TestHandleIPCEvents_starts_and_stops_the_service(t *testing.T) {
	for name, starts := range map[string]func(*testing.T, *core.Core, *Service){
		"by the Core alone": func(t *testing.T, c *core.Core, service *Service) {
			join(t, c, service)
			require.True(t, c.ServiceStartup(t.Context(), nil).OK)
		},
		"by the Core, then by hand": func(t *testing.T, c *core.Core, service *Service) {
			join(t, c, service)
			require.True(t, c.ServiceStartup(t.Context(), nil).OK)
			require.NoError(t, service.OnStartup(t.Context()))
		},
		"by hand, then by the Core": func(t *testing.T, c *core.Core, service *Service) {
			require.NoError(t, service.OnStartup(t.Context()))
			join(t, c, service)
			require.True(t, c.ServiceStartup(t.Context(), nil).OK)
		},
		"twice by the Core": func(t *testing.T, c *core.Core, service *Service) {
			join(t, c, service)
			require.True(t, c.ServiceStartup(t.Context(), nil).OK)
			require.True(t, c.ServiceStartup(t.Context(), nil).OK)
		},
	} {
		t.Run(name, func(t *testing.T) {
			service, c := newTestService(t)
			starts(t, c, service)
			require.True(t, request(c, TaskProcessStart{Command: "sleep", Args: []string{"1000"}, Detach: true}).OK)
			require.Len(t, service.List(), 1, "one answer to a task")
			require.True(t, c.ServiceShutdown(t.Context()).OK)
			assert.Equal(t, "process was killed", wait(t, service.List()[0]).Error())
		})
	}
}

func TestHandleIPCEvents_answers_no_task_before_the_start(t *testing.T) {
	service, c := newTestService(t)
	join(t, c, service)
	assert.Equal(t, unanswered(c), request(c, TaskProcessRun{Command: "true"}))
	assert.Empty(t, service.List())
}

func TestHandleIPCEvents_lets_all_messages_pass(t *testing.T) {
	service, c := newTestService(t)
	join(t, c, service)
	var heard []any
	c.RegisterAction(func(_ *core.Core, message core.Message) core.Result {
		heard = append(heard, message)
		return core.Result{OK: true}
	})
	require.True(t, c.ServiceStartup(t.Context(), nil).OK)
	require.True(t, c.ACTION("somebody else's").OK)
	require.True(t, c.ServiceShutdown(t.Context()).OK)
	assert.Equal(t, []any{core.ActionServiceStartup{}, "somebody else's", core.ActionServiceShutdown{}}, heard)
}

func TestHandleIPCEvents_serves_services_without_a_Core_and_those_of_nobody(t *testing.T) {
	service := newQuietService(t)
	assert.True(t, service.HandleIPCEvents(nil, core.ActionServiceStartup{}).OK)
	assert.True(t, service.HandleIPCEvents(nil, "anything").OK)
	process, err := service.Start(t.Context(), "sleep", "1000")
	require.NoError(t, err)
	assert.True(t, service.HandleIPCEvents(nil, core.ActionServiceShutdown{}).OK)
	assert.EqualError(t, wait(t, process), "process was killed")
	var none *Service
	assert.Equal(t, ErrServiceNotInitialized, none.HandleIPCEvents(nil, core.ActionServiceStartup{}).Value)
}

func TestRegister_leaves_a_name_that_is_taken(t *testing.T) {
	c := core.New()
	first := Register(c).Value.(*Service)
	second := Register(c)
	require.True(t, second.OK)
	t.Cleanup(func() { end(t, first) })
	require.True(t, c.ServiceStartup(t.Context(), nil).OK)
	require.True(t, request(c, TaskProcessRun{Command: "true"}).OK)
	assert.Len(t, first.List(), 1)
	assert.Empty(t, second.Value.(*Service).List(), "the Core has one service of a name")
	output, err := second.Value.(*Service).Run(context.Background(), "echo", "of no Core's life")
	require.NoError(t, err)
	assert.Equal(t, "of no Core's life\n", output)
	require.True(t, c.ServiceShutdown(t.Context()).OK)
}
