// Command testapp is the App that the agent's tests deploy. MODE says how it
// behaves; by default it serves VERSION on PORT.
package main

import (
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 {
		tool(os.Args[1])
		return
	}
	fmt.Println("testapp", os.Getenv("VERSION"), "mode", os.Getenv("MODE"))
	switch os.Getenv("MODE") {
	case "exit":
		fmt.Fprintln(os.Stderr, "no database")
		os.Exit(3)
	case "deaf":
		fmt.Println(http.ListenAndServe("127.0.0.1:5000", nil))
	case "oom":
		eat()
	case "once":
		fmt.Println("migrated")
		code, _ := strconv.Atoi(os.Getenv("CODE"))
		os.Exit(code)
	case "chatter":
		for line := 0; ; line++ {
			fmt.Println("line", line)
			<-time.After(2 * time.Millisecond)
		}
	case "worker":
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM)
		<-stop
	default:
		serve()
	}
}

func serve() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, os.Getenv("VERSION")) })
	http.HandleFunc("/sick", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	http.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(time.Minute):
		case <-r.Context().Done():
		}
	})
	http.HandleFunc("/crash", func(w http.ResponseWriter, r *http.Request) { os.Exit(1) })
	http.HandleFunc("/env", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, os.Environ()) })
	http.HandleFunc("/fetch", func(w http.ResponseWriter, r *http.Request) {
		client := http.Client{Timeout: 2 * time.Second}
		answer, err := client.Get(r.URL.Query().Get("url"))
		if err != nil {
			fmt.Fprint(w, err)
			return
		}
		_ = answer.Body.Close()
		fmt.Fprint(w, "reached")
	})
	server := &http.Server{Addr: ":" + os.Getenv("PORT")}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() {
		<-stop
		fmt.Println("bye")
		_ = server.Close()
	}()
	fmt.Println(server.ListenAndServe())
}

// eat takes memory until it is killed.
func eat() {
	var hoard [][]byte
	for {
		block := make([]byte, 4<<20)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}
		hoard = append(hoard, block)
		runtime.KeepAlive(hoard)
	}
}
