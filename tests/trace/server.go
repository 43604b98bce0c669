// An HTTP server as everybody writes it, with the usual way to end: finish what is in flight.
// NATIVE=1 takes the listener from systemd instead; UNIX=path listens there; NAIVE=1 knows no end,
// HASTY=1 hears of it and ends at once, HEARS=… asks for signals in some way and does nothing;
// SECURE=1 speaks TLS and so HTTP/2. SLOW=3s says how long /slow takes. FIT=path: /healthz is answered well from the
// fourth time on, if that file is there, and a client before that is told so. READY=path sends READY=1 when it is there.
package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
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

// Events until the client has left.
func events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for r.Context().Err() == nil {
		fmt.Fprint(w, "data: tick\n\n")
		w.(http.Flusher).Flush()
		time.Sleep(100 * time.Millisecond)
	}
}

// Sends short messages of a websocket back, until one says that it closes.
func websocket(w http.ResponseWriter) {
	connection, both, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer connection.Close()
	fmt.Fprint(connection, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
	head := make([]byte, 6)
	for {
		if _, err := io.ReadFull(both, head); err != nil {
			return
		}
		message := make([]byte, head[1]&127)
		if _, err := io.ReadFull(both, message); err != nil || head[0] == 0x88 {
			return
		}
		for at := range message {
			message[at] ^= head[2+at%4]
		}
		connection.Write(append([]byte{head[0], byte(len(message))}, message...))
	}
}

// As many bytes as do not fit into the kernel's buffers, in writes of several sizes.
func long(w http.ResponseWriter) {
	const length = 1 << 20
	w.Header().Set("Content-Length", strconv.Itoa(length))
	for sent, size := 0, 1; sent < length; sent, size = sent+size, size*3 {
		if size > length-sent {
			size = length - sent
		}
		part := make([]byte, size)
		for at := range part {
			part[at] = byte((sent + at) % 251)
		}
		w.Write(part)
	}
}

// A listener that speaks TLS and HTTP/2, with a certificate of its own making.
func secure(listener net.Listener, server *http.Server) net.Listener {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	about := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	signed, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	own := tls.Certificate{Certificate: [][]byte{signed}, PrivateKey: key}
	server.TLSConfig = &tls.Config{
		Certificates: []tls.Certificate{own}, NextProtos: []string{"h2", "http/1.1"},
	}
	return tls.NewListener(listener, server.TLSConfig)
}

// Asks for signals, as programs do.
func hear(how string) {
	signals := make(chan os.Signal, 1)
	switch how {
	case "interrupt":
		signal.Notify(signals, os.Interrupt)
	case "terminate":
		signal.Notify(signals, syscall.SIGTERM)
	case "both":
		signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	case "all":
		signal.Notify(signals)
	case "context":
		signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	case "reset":
		signal.Notify(signals, syscall.SIGTERM)
		signal.Reset(syscall.SIGTERM)
	case "stop":
		signal.Notify(signals, syscall.SIGTERM)
		signal.Stop(signals)
	case "ignore":
		signal.Ignore(syscall.SIGTERM)
	}
}

// How often it was asked whether it is fit, and whether it has said yes.
var asked, passed int32

func fit(w http.ResponseWriter) {
	path := os.Getenv("FIT")
	_, err := os.Stat(path)
	if path != "" && (err != nil || atomic.AddInt32(&asked, 1) < 4) {
		http.Error(w, "no database\nand more", 503)
		return
	}
	atomic.StoreInt32(&passed, 1)
	fmt.Fprintln(w, "fit")
}

// Says that it is ready when there is such a file.
func ready(path string) {
	for {
		if _, err := os.Stat(path); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	atomic.StoreInt32(&passed, 1)
	socket, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		panic(err)
	}
	socket.Write([]byte("READY=1"))
}

func main() {
	listener, err := listener()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("listening on", listener.Addr())
	answer := func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "CONNECT" {
			tunnel(w)
			return
		}
		switch r.URL.Path {
		case "/healthz":
			fit(w)
			return
		case "/patient":
			if !patient(w, r) {
				return
			}
		case "/ticks":
			ticks(w, r)
			return
		case "/events":
			events(w, r)
			return
		case "/ws":
			websocket(w)
			return
		case "/long":
			long(w)
			return
		case "/upload":
			length, err := io.Copy(io.Discard, r.Body)
			fmt.Fprintln(w, "received", length, err)
			return
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
		waits := os.Getenv("FIT") != "" || os.Getenv("READY") != ""
		if waits && atomic.LoadInt32(&passed) == 0 {
			fmt.Println("a client came too early")
			fmt.Fprint(w, "too early")
			return
		}
		fmt.Fprintf(w, "instance %s pid %d .", os.Getenv("NODE_APP_INSTANCE"), os.Getpid())
	}
	server := &http.Server{Handler: http.HandlerFunc(answer)}
	if os.Getenv("SECURE") != "" {
		listener = secure(listener, server)
	}
	if path := os.Getenv("READY"); path != "" {
		go ready(path)
	}
	hear(os.Getenv("HEARS"))
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
