//! Has journald take in what was sent to it so far, as `journalctl --sync` does: who looks for the last words of a process
//! would else be earlier than they are. It reads no entry.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Where journald answers root: varlink, systemd-journald.service(8).
const SOCKET: &str = "/run/systemd/journal/io.systemd.journal";

/// The call; the end of a message of varlink is a NUL.
const CALL: &[u8] = b"{\"method\":\"io.systemd.Journal.Synchronize\",\"parameters\":{}}\0";

/// Waits until journald has written all that it was sent before, but no longer than two seconds. Nothing is waited for
/// where it does not answer: for others than root, and where it does not run.
pub fn sync_journal() {
    if let Ok(stream) = UnixStream::connect(SOCKET) {
        let _ = asked(stream, Duration::from_secs(2));
    }
}

fn asked(mut stream: UnixStream, patience: Duration) -> std::io::Result<()> {
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    stream.write_all(CALL)?;
    let mut reply = [0; 4096];
    loop {
        let read = stream.read(&mut reply)?;
        if read == 0 || reply[..read].contains(&0) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_answer_is_waited_for_and_nothing_else() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let journald = std::thread::spawn(move || {
            let mut call = vec![0; CALL.len()];
            theirs.read_exact(&mut call).unwrap();
            theirs.write_all(b"{\"para").unwrap();
            theirs.write_all(b"meters\":{}}\0").unwrap();
            (call, theirs)
        });
        asked(ours, Duration::from_secs(60)).unwrap();
        assert_eq!(journald.join().unwrap().0, CALL);
        // One that closes the connection has said all.
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        let _ = asked(ours, Duration::from_secs(60));
        let (ours, _silent) = UnixStream::pair().unwrap();
        assert!(asked(ours, Duration::from_millis(1)).is_err());
    }
}
