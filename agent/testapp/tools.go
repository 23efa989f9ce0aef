package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// tool is what the terminals' tests run in a container, which has no other program.
func tool(name string) {
	switch name {
	case "cat":
		_, _ = io.Copy(os.Stdout, os.Stdin)
	case "both":
		fmt.Print("out")
		fmt.Fprint(os.Stderr, "err")
		os.Exit(7)
	case "who":
		status, _ := os.ReadFile("/proc/self/status")
		for line := range strings.SplitSeq(string(status), "\n") {
			if strings.HasPrefix(line, "NoNewPrivs") || strings.HasPrefix(line, "CapEff") {
				fmt.Println(strings.Join(strings.Fields(line), " "))
			}
		}
		fmt.Println("uid", os.Getuid(), "app", os.Getenv("SKY_APP"), "version", os.Getenv("VERSION"))
	case "signal":
		caught := make(chan os.Signal, 1)
		signal.Notify(caught, syscall.SIGINT, syscall.SIGTERM, syscall.SIGUSR1)
		fmt.Println("ready")
		fmt.Println("caught", <-caught)
		os.Exit(9)
	case "size":
		sizes()
	case "family":
		family()
	case "deaf":
		signal.Ignore(syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT)
		forever()
	case "flood":
		for {
			if _, err := os.Stdout.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	}
}

// sizes prints the window's size, now and whenever it changes.
func sizes() {
	changed := make(chan os.Signal, 8)
	signal.Notify(changed, syscall.SIGWINCH)
	for {
		if size, err := unix.IoctlGetWinsize(1, unix.TIOCGWINSZ); err == nil {
			fmt.Printf("%dx%d\n", size.Row, size.Col)
		}
		<-changed
	}
}

// family is deaf, with a deaf child, and one in a session of its own.
func family() {
	signal.Ignore(syscall.SIGHUP)
	for _, apart := range []bool{false, true} {
		child := exec.Command("/testapp", "deaf")
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: apart}
		if err := child.Start(); err != nil {
			panic(err)
		}
	}
	fmt.Println("ready")
	forever()
}

// forever waits for what never comes; the runtime takes plainer ways for a deadlock.
func forever() {
	never := make(chan os.Signal, 1)
	signal.Notify(never, syscall.SIGUSR2)
	<-never
}
