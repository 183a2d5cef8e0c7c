package process_test

import (
	"context"
	"errors"
	"fmt"

	process "dappco.re/go/core/process"
)

func Example() {
	done := make(chan struct{})
	service, err := process.Open(process.Options{}, func(message any) {
		switch message := message.(type) {
		case process.ActionProcessOutput:
			fmt.Println(message.Stream, message.Line)
		case process.ActionProcessExited:
			fmt.Println("exit code", message.ExitCode)
			close(done)
		}
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer service.OnShutdown(context.Background())

	_, err = service.Start(context.Background(), "sh", "-c", "echo hello; exit 3")
	if err != nil {
		fmt.Println(err)
		return
	}
	<-done
	// Output:
	// stdout hello
	// exit code 3
}

func ExampleService_Run() {
	service, err := process.Open(process.Options{}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer service.OnShutdown(context.Background())

	output, err := service.Run(context.Background(), "sh", "-c", "echo working; kill -TERM $$")
	fmt.Print(output)
	var exit *process.ExitError
	if errors.As(err, &exit) {
		fmt.Println(exit, "- code", exit.ExitCode(), "signal", int(exit.Signal()))
	}
	// Output:
	// working
	// process was killed by SIGTERM - code -1 signal 15
}
