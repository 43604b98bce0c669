//! Programs that are executed with a listener which the one before them serves.

use crate::support::door::{is_untouched, listening};
use crate::support::{Systemd, has, read_all};

/// Serves the listener that it was given.
const CHILD: &str = "import os, socket\n\
    s = socket.socket(fileno=int(os.environ['GIVEN']))\n\
    while True:\n\
    \x20   c, _ = s.accept()\n\
    \x20   c.recv(100)\n\
    \x20   c.sendall(b'%d' % os.getpid())\n\
    \x20   c.close()\n";

const LISTENS: &str = "import os, socket, subprocess, sys\n\
    s = socket.socket()\n\
    s.bind(('127.0.0.1', PORT))\n\
    s.listen()\n\
    given = dict(os.environ, GIVEN=str(s.fileno()))\n";

/// As sanic does with several workers.
const SPAWNS: &str = "words = [sys.executable, '-c', r'''CHILD''']\n\
    p = subprocess.Popen(words, pass_fds=[s.fileno()], env=given)\n\
    os.write(1, b'%d\\n' % p.pid)\n\
    sys.exit(p.wait())\n";

const BECOMES: &str = "os.write(1, b'%d\\n' % os.getpid())\n\
    s.set_inheritable(True)\n\
    os.execve(sys.executable, ['python3', '-c', r'''CHILD'''], given)\n";

/// As puma does at a restart.
const UNSETS: &str = "del given['LISTEN_FDS'], given['LISTEN_PID']\n";

#[test]
fn what_a_program_executes_with_its_listener_answers_the_door() {
    if !has("python3") {
        return;
    }
    for ways in [&[SPAWNS][..], &[BECOMES], &[UNSETS, BECOMES]] {
        let script = (LISTENS.to_owned() + &ways.concat()).replace("CHILD", CHILD);
        let (mut systemd, port) = Systemd::tcp("127.0.0.1");
        let words = ["python3", "-c", &script];
        let (program, door) = listening(&mut systemd, port, true, &words);
        let mut early = door.waiting(port);
        let pid = program.line();
        for _ in 0..5 {
            assert_eq!(door.ask(), pid);
        }
        assert!(is_untouched(&early));
        assert_eq!(door.say("open"), "open");
        assert_eq!(read_all(&mut early), pid);
    }
}
