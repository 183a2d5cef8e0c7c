package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"syscall"
	"time"

	"dappco.re/go/core"
	process "dappco.re/go/core/process"
	"dappco.re/go/core/process/exec"
)

// ours is package process, as its callers use it.
type ours struct {
	service *process.Service
	c       *core.Core // nil if no handler hears of lines
}

// newOurs makes a service, with a Core if lines are to be handled. A service without a Core reads and keeps output, and
// hands it to no handler.
func newOurs(lines bool) (contender, error) {
	var c *core.Core
	if lines {
		c = core.New()
	}
	service, err := process.NewService(process.Options{})(c)
	if err != nil {
		return nil, err
	}
	return &ours{service.(*process.Service), c}, nil
}

func code(err error) (ended, error) {
	var exit *process.ExitError
	switch {
	case err == nil:
		return ended{}, nil
	case errors.As(err, &exit):
		return ended{exit.ExitCode(), exit.Signal() == syscall.SIGKILL}, nil
	default:
		return ended{}, err
	}
}

func (o *ours) run(child string, args ...string) ([]byte, int, error) {
	output, err := o.service.Run(context.Background(), child, args...)
	end, err := code(err)
	return []byte(output), end.code, err
}

func (o *ours) lines(handle func(string), child string, args ...string) error {
	o.c.RegisterAction(func(_ *core.Core, message core.Message) core.Result {
		if output, ok := message.(process.ActionProcessOutput); ok {
			handle(output.Line)
		}
		return core.Result{OK: true}
	})
	running, err := o.service.Start(context.Background(), child, args...)
	if err != nil {
		return err
	}
	return running.Wait()
}

func (o *ours) captured(child string, args ...string) ([]byte, error) {
	running, err := o.service.Start(context.Background(), child, args...)
	if err != nil {
		return nil, err
	}
	if err := running.Wait(); err != nil {
		return nil, err
	}
	return running.OutputBytes(), nil
}

// delivered uses package exec, whose commands have a Writer; what goes there is not captured as well.
func (o *ours) delivered(to io.Writer, child string, args ...string) error {
	return exec.Command(context.Background(), child, args...).WithStdout(to).Run()
}

func (o *ours) start(grace time.Duration, child string, args ...string) (live, error) {
	running, err := o.service.StartWithOptions(context.Background(), process.RunOptions{
		Command: child, Args: args, GracePeriod: grace,
	})
	return oursLive{running}, err
}

type oursLive struct{ *process.Process }

func (l oursLive) wait() (ended, error) { return code(l.Wait()) }
func (l oursLive) stop()                { _ = l.Shutdown() }
func (l oursLive) endInput() error      { return l.CloseStdin() }

func (o *ours) all(count int, child string) error {
	specs := make([]process.RunSpec, count)
	for i := range specs {
		specs[i] = process.RunSpec{Name: strconv.Itoa(i), Command: child}
	}
	result, err := process.NewRunner(o.service).RunAll(context.Background(), specs)
	if err == nil && result.Passed != count {
		err = fmt.Errorf("%d of %d passed", result.Passed, count)
	}
	return err
}
