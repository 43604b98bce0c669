// An HTTP server as everybody writes it, with the usual way to end: finish what is in flight.
// NATIVE=1 takes the listener from systemd instead; UNIX=path listens there; NAIVE=1 knows no end;
// SLOW=3s says how long /slow takes.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func listener() (net.Listener, error) {
	if os.Getenv("NATIVE") != "" {
		return net.FileListener(os.NewFile(3, "listener"))
	}
	if path := os.Getenv("UNIX"); path != "" {
		os.Remove(path)
		return net.Listen("unix", path)
	}
	return net.Listen("tcp", ":"+os.Getenv("PORT"))
}

func main() {
	listener, err := listener()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("listening")
	answer := func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			slow, err := time.ParseDuration(os.Getenv("SLOW"))
			if err != nil {
				slow = 200 * time.Millisecond
			}
			time.Sleep(slow)
			fmt.Fprint(w, "slow answer of ")
		case "/exit":
			os.Exit(9)
		case "/environment":
			fmt.Fprintln(w, os.Environ())
			return
		}
		fmt.Fprintf(w, "instance %s pid %d .", os.Getenv("NODE_APP_INSTANCE"), os.Getpid())
	}
	server := &http.Server{Handler: http.HandlerFunc(answer)}
	if os.Getenv("NAIVE") != "" {
		server.Serve(listener)
		os.Exit(1)
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	done := make(chan bool)
	go func() {
		<-ended
		server.Shutdown(context.Background())
		close(done)
	}()
	server.Serve(listener)
	<-done
}
