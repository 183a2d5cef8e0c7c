// Package newcallers is written like programs that use the binding with Core v0.8, which finds services itself.
package newcallers

import (
	"context"
	"sync"
	"testing"

	"dappco.re/go/core"
	process "dappco.re/go/core/process"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWithService_GivesTheServiceByItsName(t *testing.T) {
	c := core.New(core.WithService(process.Register))
	service, ok := core.ServiceFor[*process.Service](c, "process")
	require.True(t, ok)
	assert.Same(t, c, service.Core())

	output, err := service.Run(context.Background(), "echo", "hello")
	require.NoError(t, err)
	assert.Equal(t, "hello\n", output)
}

func TestWithService_StartsAndStopsWithTheCore(t *testing.T) {
	c := core.New(core.WithService(process.Register))
	service, ok := core.ServiceFor[*process.Service](c, "process")
	require.True(t, ok)
	assert.True(t, c.ACTION(process.TaskProcessStart{Command: "sleep", Args: []string{"60"}}).OK)
	assert.Empty(t, service.List(), "it has not started")

	require.True(t, c.ServiceStartup(context.Background(), nil).OK)
	require.True(t, c.ACTION(process.TaskProcessStart{Command: "sleep", Args: []string{"60"}, Detach: true}).OK)
	require.Len(t, service.List(), 1, "one answer to a task")
	first := service.List()[0]
	require.True(t, c.ServiceShutdown(context.Background()).OK)
	<-first.Done()
	assert.Equal(t, process.StatusKilled, first.Status)
}

func TestTasks_AreMessages(t *testing.T) {
	c := core.New(core.WithService(process.Register))
	service, _ := core.ServiceFor[*process.Service](c, "process")
	var mu sync.Mutex
	var lines []string
	killed := 0
	c.RegisterAction(func(_ *core.Core, message core.Message) core.Result {
		mu.Lock()
		defer mu.Unlock()
		switch message := message.(type) {
		case process.ActionProcessOutput:
			lines = append(lines, message.Line)
		case process.ActionProcessKilled:
			killed++
		}
		return core.Result{OK: true}
	})
	require.True(t, c.ServiceStartup(context.Background(), nil).OK)
	require.True(t, c.ACTION(process.TaskProcessRun{Command: "echo", Args: []string{"hello"}}).OK)
	assert.Equal(t, []string{"hello"}, lines)
	failed := c.ACTION(process.TaskProcessRun{Command: "sh", Args: []string{"-c", "exit 3"}})
	assert.False(t, failed.OK)
	assert.ErrorContains(t, failed.Value.(error), "exited with code 3")

	cat, err := service.Start(context.Background(), "cat")
	require.NoError(t, err)
	require.True(t, c.ACTION(process.TaskProcessInput{ID: cat.ID, Input: "line\n"}).OK)
	require.True(t, c.ACTION(process.TaskProcessCloseStdin{ID: cat.ID}).OK)
	require.True(t, c.ACTION(process.TaskProcessWait{ID: cat.ID}).OK)
	assert.Equal(t, "line\n", cat.Output())

	sleep, err := service.Start(context.Background(), "sleep", "60")
	require.NoError(t, err)
	require.True(t, c.ACTION(process.TaskProcessKill{ID: sleep.ID}).OK)
	assert.Equal(t, 1, killed)
	assert.False(t, c.ACTION(process.TaskProcessKill{ID: "proc-99"}).OK)
	require.True(t, c.ACTION(process.TaskProcessWait{ID: sleep.ID}).OK)
	require.True(t, c.ACTION(process.TaskProcessClear{}).OK)
	assert.Empty(t, service.List())
	require.True(t, c.ServiceShutdown(context.Background()).OK)
}

func TestWithService_Twice(t *testing.T) {
	var refused []core.Result
	again := func(c *core.Core) core.Result {
		result := core.WithService(process.Register)(c)
		refused = append(refused, result)
		return result
	}
	c := core.New(core.WithService(process.Register), again)
	require.Len(t, refused, 1)
	assert.False(t, refused[0].OK, "the name is taken")
	require.True(t, c.ServiceStartup(context.Background(), nil).OK)
	service, ok := core.ServiceFor[*process.Service](c, "process")
	require.True(t, ok)
	started := 0
	c.RegisterAction(func(_ *core.Core, message core.Message) core.Result {
		if _, ok := message.(process.ActionProcessStarted); ok {
			started++
		}
		return core.Result{OK: true}
	})
	require.True(t, c.ACTION(process.TaskProcessRun{Command: "true"}).OK)
	assert.Equal(t, 1, started, "the second service is of no Core")
	assert.Len(t, service.List(), 1)
	require.True(t, c.ServiceShutdown(context.Background()).OK)
}

// The caller makes the service itself, with options.
func TestRegisterService_WithOptions(t *testing.T) {
	c := core.New()
	made, err := process.NewService(process.Options{BufferSize: 4})(c)
	require.NoError(t, err)
	require.True(t, c.RegisterService("process", made).OK)
	require.True(t, c.ServiceStartup(context.Background(), nil).OK)
	service, ok := core.ServiceFor[*process.Service](c, "process")
	require.True(t, ok)
	require.NoError(t, service.OnStartup(context.Background()), "again")
	require.True(t, c.ACTION(process.TaskProcessRun{Command: "echo", Args: []string{"123456"}}).OK)
	require.Len(t, service.List(), 1)
	assert.Equal(t, "456\n", service.List()[0].Output())
	require.True(t, c.ServiceShutdown(context.Background()).OK)
}
