package process

import (
	"errors"
	"syscall"
	"time"

	"dappco.re/go/core"
)

// TaskProcessStart starts a process; Value is its Info. The process is killed when the Core's context is done.
type TaskProcessStart struct {
	Command        string
	Args           []string
	Dir            string
	Env            []string
	DisableCapture bool
	Detach         bool
	Timeout        time.Duration
	GracePeriod    time.Duration
	KillGroup      bool
}

// TaskProcessRun runs a process to its end; Value is its output.
type TaskProcessRun struct {
	Command        string
	Args           []string
	Dir            string
	Env            []string
	DisableCapture bool
	Detach         bool
	Timeout        time.Duration
	GracePeriod    time.Duration
	KillGroup      bool
}

// TaskProcessKill kills the process with this ID or, if that is empty, PID.
type TaskProcessKill struct {
	ID  string
	PID int
}

// TaskProcessSignal signals the process with this ID or, if that is empty, PID.
type TaskProcessSignal struct {
	ID     string
	PID    int
	Signal syscall.Signal
}

// TaskProcessGet asks for the Info of a process.
type TaskProcessGet struct{ ID string }

// TaskProcessWait waits for a process. Value is its final Info, or a *TaskProcessWaitError if Wait returned an error.
type TaskProcessWait struct{ ID string }

// TaskProcessOutput asks for what a process has written.
type TaskProcessOutput struct{ ID string }

// TaskProcessInput writes to the stdin of a process.
type TaskProcessInput struct {
	ID    string
	Input string
}

// TaskProcessCloseStdin closes the stdin of a process.
type TaskProcessCloseStdin struct{ ID string }

// TaskProcessRemove forgets a process that has ended.
type TaskProcessRemove struct{ ID string }

// TaskProcessList asks for the processes; Value is []Info.
type TaskProcessList struct{ RunningOnly bool }

// TaskProcessClear forgets every process that has ended.
type TaskProcessClear struct{}

// TaskProcessWaitError says how a process for which TaskProcessWait waited ended, if it did not succeed.
type TaskProcessWaitError struct {
	Info Info
	Err  error
}

func (e *TaskProcessWaitError) Error() string {
	if e.Err == nil {
		return "process did not succeed"
	}
	return e.Err.Error()
}

// Unwrap returns Err.
func (e *TaskProcessWaitError) Unwrap() error { return e.Err }

var errNeitherIDNorPID = errors.New("task: ID or PID is required")

// perform answers the tasks of this package. For any other task it returns a zero Result.
func (s *Service) perform(c *core.Core, task any) core.Result {
	switch task := task.(type) {
	case TaskProcessStart:
		process, err := s.StartWithOptions(contextOf(c), RunOptions(task))
		if err != nil {
			return core.Result{Value: err}
		}
		return core.Result{Value: process.Info(), OK: true}
	case TaskProcessRun:
		return answer(s.RunWithOptions(contextOf(c), RunOptions(task)))
	case TaskProcessKill:
		switch {
		case task.ID != "":
			return resultOf(s.Kill(task.ID))
		case task.PID != 0:
			return resultOf(s.KillPID(task.PID))
		}
		return core.Result{Value: errNeitherIDNorPID}
	case TaskProcessSignal:
		switch {
		case task.ID != "":
			return resultOf(s.Signal(task.ID, task.Signal))
		case task.PID != 0:
			return resultOf(s.SignalPID(task.PID, task.Signal))
		}
		return core.Result{Value: errNeitherIDNorPID}
	case TaskProcessGet:
		process, err := s.Get(task.ID)
		if err != nil {
			return core.Result{Value: err}
		}
		return core.Result{Value: process.Info(), OK: true}
	case TaskProcessWait:
		return s.performWait(task)
	case TaskProcessOutput:
		return answer(s.Output(task.ID))
	case TaskProcessInput:
		return resultOf(s.Input(task.ID, task.Input))
	case TaskProcessCloseStdin:
		return resultOf(s.CloseStdin(task.ID))
	case TaskProcessRemove:
		return resultOf(s.Remove(task.ID))
	case TaskProcessList:
		return core.Result{Value: s.infos(task.RunningOnly), OK: true}
	case TaskProcessClear:
		s.Clear()
		return core.Result{OK: true}
	default:
		return core.Result{}
	}
}

func answer(value string, err error) core.Result {
	if err != nil {
		return core.Result{Value: err}
	}
	return core.Result{Value: value, OK: true}
}

func (s *Service) performWait(task TaskProcessWait) core.Result {
	process, err := s.Get(task.ID)
	if err != nil {
		return core.Result{Value: err}
	}
	err = process.Wait()
	if err != nil {
		return core.Result{Value: &TaskProcessWaitError{Info: process.Info(), Err: err}, OK: true}
	}
	return core.Result{Value: process.Info(), OK: true}
}

func (s *Service) infos(runningOnly bool) []Info {
	list := s.List
	if runningOnly {
		list = s.Running
	}
	processes := list()
	infos := make([]Info, 0, len(processes))
	for _, process := range processes {
		infos = append(infos, process.Info())
	}
	return infos
}
