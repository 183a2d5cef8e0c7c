package process_test

import (
	"context"
	"errors"
	"fmt"

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

// A Core can do everything by tasks, and need not know the service.
func ExampleRegister() {
	c := core.New()
	process.Register(c)
	c.ServiceStartup(context.Background(), nil)
	defer c.ServiceShutdown(context.Background())

	output := c.PERFORM(process.TaskProcessRun{Command: "echo", Args: []string{"hello"}})
	fmt.Printf("%q %v\n", output.Value, output.OK)
	// Output: "hello\n" true
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
