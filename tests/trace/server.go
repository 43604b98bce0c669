// An HTTP server as everybody writes it, with the usual way to end: finish what is in flight.
// NATIVE=1 takes the listener from systemd instead; UNIX=path listens there; NAIVE=1 knows no end,
// HASTY=1 hears of it and ends at once.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
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

// Two seconds of work, unless the client has gone.
func patient(w http.ResponseWriter, r *http.Request) bool {
	select {
	case <-time.After(2 * time.Second):
		return true
	case <-r.Context().Done():
		http.Error(w, "the client has gone", 500)
		return false
	}
}

// A stream with a tick a second.
func ticks(w http.ResponseWriter, r *http.Request) {
	for tick := 0; tick < 6; tick++ {
		fmt.Fprintf(w, "tick %d\n", tick)
		w.(http.Flusher).Flush()
		select {
		case <-time.After(time.Second):
		case <-r.Context().Done():
			return
		}
	}
	fmt.Fprintln(w, "end")
}

// Echoes lines until one says "bye".
func tunnel(w http.ResponseWriter) {
	connection, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer connection.Close()
	fmt.Fprint(connection, "HTTP/1.1 200 Connection established\r\n\r\n")
	lines := bufio.NewScanner(buffered)
	for lines.Scan() {
		fmt.Fprintln(connection, "echo", lines.Text())
		if lines.Text() == "bye" {
			return
		}
	}
}

func main() {
	listener, err := listener()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("listening")
	answer := func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "CONNECT" {
			tunnel(w)
			return
		}
		switch r.URL.Path {
		case "/patient":
			if !patient(w, r) {
				return
			}
		case "/ticks":
			ticks(w, r)
			return
		case "/upload":
			length, err := io.Copy(io.Discard, r.Body)
			fmt.Fprintln(w, "received", length, err)
			return
		case "/slow":
			time.Sleep(200 * time.Millisecond)
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
	if os.Getenv("HASTY") != "" {
		go server.Serve(listener)
		<-ended
		os.Exit(0)
	}
	done := make(chan bool)
	go func() {
		<-ended
		server.Shutdown(context.Background())
		close(done)
	}()
	server.Serve(listener)
	<-done
}
