"""Serves the inherited listener, says its process id, and drains for a second on SIGTERM.
Leaves a child in a session of its own, as careless programs do."""
import http.server, os, signal, socket, subprocess, sys, threading, time

listener = socket.socket(fileno=3)
listener.setblocking(False)
stray = subprocess.Popen(["sleep", "1000"], start_new_session=True)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/crash":
            os.write(1, b"last words without end")
            os.kill(os.getpid(), signal.SIGKILL)
        body = f"{os.getpid()} {stray.pid}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    def __init__(self):
        super().__init__(listener.getsockname(), Handler, bind_and_activate=False)
        self.socket = listener

    def get_request(self):
        connection, peer = self.socket.accept()
        connection.setblocking(True)
        return connection, peer


def drain(*_):
    def finish():
        time.sleep(1)
        print("drained", flush=True)
        os._exit(0)

    threading.Thread(target=finish).start()


signal.signal(signal.SIGTERM, drain)
server = Server()
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.connect(os.environ["NOTIFY_SOCKET"])
notify.send(b"READY=1")
print("serving", *sys.argv[1:], flush=True)
server.serve_forever()
