package process_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"dappco.re/go/core"
	process "dappco.re/go/core/process"
)

// Lines are broadcast to the handlers of a Core as they come.
func Example() {
	done := make(chan struct{})
	c := core.New()
	c.RegisterAction(func(_ *core.Core, message core.Message) core.Result {
		switch message := message.(type) {
		case process.ActionProcessStarted:
			fmt.Println("started", message.Command)
		case process.ActionProcessOutput:
			fmt.Println(message.Stream, message.Line)
		case process.ActionProcessExited:
			fmt.Println("exit code", message.ExitCode)
			close(done)
		}
		return core.Result{OK: true}
	})
	made, err := process.NewService(process.Options{})(c)
	if err != nil {
		fmt.Println(err)
		return
	}
	service := made.(*process.Service)

	_, err = service.Start(context.Background(), "sh", "-c", "echo hello; exit 3")
	if err != nil {
		fmt.Println(err)
		return
	}
	<-done
	// Output:
	// started sh
	// stdout hello
	// exit code 3
}

// A Core starts the service, and ends its processes when it shuts down. Since v0.8 of Core,
// core.New(core.WithService(process.Register)) makes such a Core, and core.ServiceFor finds the service.
func ExampleRegister() {
	c := core.New()
	service := process.Register(c).Value.(*process.Service)
	c.ServiceStartup(context.Background(), nil)

	sleeper, err := service.Start(context.Background(), "sleep", "1000")
	if err != nil {
		fmt.Println(err)
		return
	}
	c.ServiceShutdown(context.Background())
	fmt.Println(sleeper.Wait())
	// Output: process was killed
}

func ExampleService_Run() {
	service := new(process.Service)

	output, err := service.Run(context.Background(), "sh", "-c", "echo working; kill -TERM $$")
	fmt.Print(output)
	var exit *process.ExitError
	if errors.As(err, &exit) {
		fmt.Println(exit, "- code", exit.ExitCode(), "signal", int(exit.Signal()))
	}
	// Output:
	// working
	// process was killed - code -1 signal 15
}

func ExampleManagedProcess_SendInput() {
	service := new(process.Service)
	sort, err := service.Start(context.Background(), "sort")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, line := range []string{"pear\n", "apple\n"} {
		if err := sort.SendInput(line); err != nil {
			fmt.Println(err)
		}
	}
	if err := errors.Join(sort.CloseStdin(), sort.Wait()); err != nil {
		fmt.Println(err)
	}
	fmt.Print(sort.Output())
	// Output:
	// apple
	// pear
}

// One daemon runs at a time; other programs find it and ask whether it is well.
func ExampleDaemon() {
	dir, err := os.MkdirTemp("", "daemon")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	registry := process.NewRegistry(filepath.Join(dir, "daemons"))
	daemon := process.NewDaemon(process.DaemonOptions{
		PIDFile:       filepath.Join(dir, "indexer.pid"),
		HealthAddr:    "127.0.0.1:0",
		HealthChecks:  []process.HealthCheck{func() error { return errors.New("no database") }},
		Registry:      registry,
		RegistryEntry: process.DaemonEntry{Code: "search", Daemon: "indexer"},
	})
	if err := daemon.Start(); err != nil {
		fmt.Println(err)
		return
	}

	// Another program finds it, and asks.
	entry, found := registry.Get("search", "indexer")
	fmt.Println("found:", found, entry.Health == daemon.HealthAddr())
	fmt.Println(process.ProbeHealth(entry.Health, 1000))
	pid, alive := process.ReadPID(filepath.Join(dir, "indexer.pid"))
	fmt.Println(pid == entry.PID, alive)

	ctx, cancel := context.WithCancel(context.Background())
	cancel() // in a program: signal.NotifyContext
	fmt.Println("ended:", daemon.Run(ctx))
	_, found = registry.Get("search", "indexer")
	fmt.Println("found:", found)
	// Output:
	// found: true true
	// false 503: unhealthy: no database
	// true true
	// ended: <nil>
	// found: false
}

// A pipeline starts each spec when those that it comes after have ended.
func ExampleRunner() {
	runner := process.NewRunner(new(process.Service))
	all, err := runner.RunAll(context.Background(), []process.RunSpec{
		{Name: "deploy", Command: "echo", Args: []string{"deployed"}, After: []string{"test", "lint"}},
		{Name: "build", Command: "echo", Args: []string{"built"}},
		{Name: "test", Command: "sh", Args: []string{"-c", "echo 1 failure; exit 1"}, After: []string{"build"}},
		{Name: "lint", Command: "false", After: []string{"build"}, AllowFailure: true},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, result := range all.Results {
		fmt.Printf("%-6s passed %-5v skipped %-5v code %d %q\n",
			result.Name, result.Passed(), result.Skipped, result.ExitCode, result.Output)
	}
	fmt.Println("success:", all.Success())
	// Output:
	// deploy passed false skipped true  code 0 ""
	// build  passed true  skipped false code 0 "built\n"
	// test   passed false skipped false code 1 "1 failure\n"
	// lint   passed false skipped false code 1 ""
	// success: false
}

// A timeout shuts a process down: SIGTERM, and SIGKILL after the grace period.
func ExampleService_StartWithOptions() {
	service := new(process.Service)
	sleeper, err := service.StartWithOptions(context.Background(), process.RunOptions{
		Command: "sleep", Args: []string{"1000"},
		Timeout: 50 * time.Millisecond, GracePeriod: 5 * time.Second,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	var exit *process.ExitError
	if errors.As(sleeper.Wait(), &exit) {
		fmt.Println("timed out:", exit.TimedOut(), "signal", int(exit.Signal()))
	}
	fmt.Println(sleeper.Info().Status)
	// Output:
	// timed out: true signal 15
	// killed
}

// The functions of the package use the default service, which Init makes. Here it has no Core.
func ExampleInit() {
	if err := process.Init(nil); err != nil {
		fmt.Println(err)
		return
	}
	output, err := process.Run(context.Background(), "echo", "hello")
	fmt.Printf("%q %v\n", output, err)
	// Output: "hello\n" <nil>
}

// A program is found once, and run for its output.
func ExampleProgram() {
	program := process.Program{Name: "sh"}
	if err := program.Find(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(filepath.IsAbs(program.Path))
	output, err := program.Run(context.Background(), "-c", "echo out; echo err >&2")
	fmt.Printf("%q %v\n", output, err)
	// Output:
	// true
	// "out\nerr" <nil>
}

// A health server answers as its checks and its readiness say.
func ExampleHealthServer() {
	server := process.NewHealthServer("127.0.0.1:0")
	server.AddCheck(func() error { return nil })
	server.SetReady(false)
	if err := server.Start(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(process.ProbeHealth(server.Addr(), 60_000))
	fmt.Println(process.ProbeReady(server.Addr(), 60_000))
	fmt.Println(server.Stop(context.Background()))
	// Output:
	// true ok
	// false 503: not ready
	// <nil>
}

// A PID file lets one instance of a program run at a time.
func ExamplePIDFile() {
	dir, err := os.MkdirTemp("", "pidfile")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	file := process.NewPIDFile(filepath.Join(dir, "it.pid"))
	if err := file.Acquire(); err != nil {
		fmt.Println(err)
		return
	}
	pid, alive := process.ReadPID(file.Path())
	fmt.Println(pid == os.Getpid(), alive)
	fmt.Println(file.Release())
	pid, alive = process.ReadPID(file.Path())
	fmt.Println(pid, alive)
	// Output:
	// true true
	// <nil>
	// 0 false
}

// A registry says which daemons run.
func ExampleRegistry() {
	dir, err := os.MkdirTemp("", "daemons")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	registry := process.NewRegistry(dir)
	err = registry.Register(process.DaemonEntry{Code: "search", Daemon: "indexer", PID: os.Getpid()})
	if err != nil {
		fmt.Println(err)
		return
	}
	entries, err := registry.List()
	fmt.Println(len(entries), entries[0].Code, entries[0].Daemon, err)
	fmt.Println(registry.Unregister("search", "indexer"))
	_, found := registry.Get("search", "indexer")
	fmt.Println(found)
	// Output:
	// 1 search indexer <nil>
	// <nil>
	// false
}

func ExampleRingBuffer() {
	last := process.NewRingBuffer(15)
	for i := range 100 {
		fmt.Fprintf(last, "line %d\n", i)
	}
	fmt.Printf("%q\n", last)
	// Output: "ine 98\nline 99\n"
}
