package process

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"slices"
	"syscall"
)

// Get returns the process with this ID, if it runs, or has ended and was neither removed nor cleared. Otherwise it returns
// ErrProcessNotFound.
func (s *Service) Get(id string) (*Process, error) {
	if s == nil {
		return nil, ErrServiceNotInitialized
	}
	s.mu.RLock()
	process := s.processes[id]
	s.mu.RUnlock()
	if process == nil {
		return nil, fmt.Errorf("%w: %q", ErrProcessNotFound, id)
	}
	return process, nil
}

// List returns all processes in the order of their starts, then of their IDs.
func (s *Service) List() []*Process {
	return s.list(func(*Process) bool { return true })
}

// Running returns the processes that run, in the order of List.
func (s *Service) Running() []*Process {
	return s.list((*Process).IsRunning)
}

func (s *Service) list(wanted func(*Process) bool) []*Process {
	if s == nil {
		return nil
	}
	s.mu.RLock()
	found := make([]*Process, 0, len(s.processes))
	for _, process := range s.processes {
		if wanted(process) {
			found = append(found, process)
		}
	}
	s.mu.RUnlock()
	slices.SortFunc(found, func(a, b *Process) int {
		return cmp.Or(a.facts.startedAt.Compare(b.facts.startedAt), cmp.Compare(a.number, b.number))
	})
	return found
}

// Kill kills the process with this ID, as [ManagedProcess.Kill] does.
func (s *Service) Kill(id string) error {
	process, err := s.Get(id)
	if err != nil {
		return err
	}
	return process.Kill()
}

// Signal signals the process with this ID, as [ManagedProcess.Signal] does.
func (s *Service) Signal(id string, signal os.Signal) error {
	process, err := s.Get(id)
	if err != nil {
		return err
	}
	return process.Signal(signal)
}

// KillPID sends SIGKILL to the process with this PID: as Kill does if it belongs to this service, else to any process.
func (s *Service) KillPID(pid int) error {
	process, err := s.withPID(pid)
	if err != nil {
		return ServiceError("kill", err)
	}
	if process != nil {
		return process.Kill()
	}
	return sendSignal(pid, syscall.SIGKILL)
}

// SignalPID sends a signal to the process with this PID: as Signal does if it belongs to this service, else to any
// process.
func (s *Service) SignalPID(pid int, signal os.Signal) error {
	process, err := s.withPID(pid)
	if err != nil {
		return ServiceError("signal", err)
	}
	if process != nil {
		return process.Signal(signal)
	}
	number, err := signalNumber(signal)
	if err != nil {
		return err
	}
	return sendSignal(pid, number)
}

// withPID returns the process of this service that has the PID now, or nil.
func (s *Service) withPID(pid int) (*Process, error) {
	if s == nil {
		return nil, ErrServiceNotInitialized
	}
	if pid <= 0 {
		return nil, fmt.Errorf("pid must be above 0: %d", pid)
	}
	for _, process := range s.Running() {
		if int(process.pid) == pid {
			return process, nil
		}
	}
	return nil, nil
}

// sendSignal signals a process that does not belong to the service.
func sendSignal(pid int, signal syscall.Signal) error {
	err := error(syscall.ESRCH)
	// The kernel looks at 32 bits alone: it could take a longer number for a group, or for all processes.
	if pid <= math.MaxInt32 {
		err = syscall.Kill(pid, signal)
	}
	switch err {
	case nil:
		return nil
	case syscall.ESRCH:
		return fmt.Errorf("signal pid %d: %w: %w: %w", pid, ErrProcessNotFound, ErrProcessNotRunning, err)
	default:
		return fmt.Errorf("signal pid %d: %w", pid, err)
	}
}

// Input writes to the stdin of the process with this ID, as [ManagedProcess.SendInput] does.
func (s *Service) Input(id, input string) error {
	process, err := s.Get(id)
	if err != nil {
		return err
	}
	return process.SendInput(input)
}

// CloseStdin closes the stdin of the process with this ID.
func (s *Service) CloseStdin(id string) error {
	process, err := s.Get(id)
	if err != nil {
		return err
	}
	return process.CloseStdin()
}

// Wait waits for the process with this ID, and returns its final state with the error of [ManagedProcess.Wait].
func (s *Service) Wait(id string) (Info, error) {
	process, err := s.Get(id)
	if err != nil {
		return Info{}, err
	}
	err = process.Wait()
	return process.Info(), err
}

// Output returns what the process with this ID has written up to now.
func (s *Service) Output(id string) (string, error) {
	process, err := s.Get(id)
	if err != nil {
		return "", err
	}
	return process.Output(), nil
}

// Remove forgets the process with this ID, which must have ended.
func (s *Service) Remove(id string) error {
	process, err := s.Get(id)
	if err != nil {
		return err
	}
	if process.IsRunning() {
		return fmt.Errorf("remove %q: %w", id, errStillRunning)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.processes, id)
	return nil
}

// Clear forgets every process that has ended.
func (s *Service) Clear() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, process := range s.processes {
		if !process.IsRunning() {
			delete(s.processes, id)
		}
	}
}
