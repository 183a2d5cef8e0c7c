package exec_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	process "dappco.re/go/core/process"
	"dappco.re/go/core/process/exec"
)

func ExampleCommand() {
	output, err := exec.Command(context.Background(), "sh", "-c", `echo "$GREETING"; cat`).
		WithEnv([]string{"GREETING=hello"}).
		WithStdin(strings.NewReader("from stdin\n")).
		Output()
	fmt.Printf("%s%v\n", output, err)
	// Output:
	// hello
	// from stdin
	// <nil>
}

// How a command ended is found in the error.
func ExampleCmd_Run() {
	err := exec.Command(context.Background(), "sh", "-c", "exit 7").Run()
	fmt.Println(err)
	var exit *process.ExitError
	if errors.As(err, &exit) {
		fmt.Println("exit code", exit.ExitCode())
	}
	// Output:
	// Cmd.Run: command "sh -c exit 7" failed with exit code 7
	// exit code 7
}

func ExampleCmd_CombinedOutput() {
	output, err := exec.Command(context.Background(), "sh", "-c", "echo out; echo err >&2; exit 1").CombinedOutput()
	fmt.Printf("%q\n%v\n", output, err)
	// Output:
	// "out\nerr\n"
	// Cmd.CombinedOutput: command "sh -c echo out; echo err >&2; exit 1" failed with exit code 1
}

// A file is handed to the command itself.
func ExampleCmd_WithStdout() {
	err := exec.Command(context.Background(), "echo", "straight to the terminal").WithStdout(os.Stdout).Run()
	fmt.Println(err)
	// Output:
	// straight to the terminal
	// <nil>
}

func ExampleRunQuiet() {
	err := exec.RunQuiet(context.Background(), "sh", "-c", "echo 'disk full' >&2; exit 2")
	fmt.Println(err)
	// Output: RunQuiet: command "sh -c echo 'disk full' >&2; exit 2" failed with exit code 2: disk full
}

// logger prints what it hears.
type logger struct{}

func (logger) Debug(message string, keyvals ...any) {
	fmt.Println(append([]any{message}, keyvals...)...)
}
func (logger) Error(message string, keyvals ...any) {
	fmt.Println(append([]any{message}, keyvals...)...)
}

func ExampleLogger() {
	_ = exec.Command(context.Background(), "false").WithLogger(logger{}).Run()
	// Output:
	// executing command cmd false args []
	// command failed cmd false args [] err Cmd.Run: command "false" failed with exit code 1
}
