//! The program under test: what `clusterctl dev` does, with hand-made units.

use clusterctl::embedded::{self, Lifeline, LifelineRequest, Manager, ManagerOptions, OutputLine};
use std::fs;
use std::io::Write;
use std::process::{Command, ExitCode};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const SOCKET: &str = "[Socket]\nListenStream=127.0.0.1:PORT\nFileDescriptorName=http\n\
                      Service=api-wake.service\nTriggerLimitIntervalSec=0\n";
const WAKE: &str = "[Unit]\nWants=api@0.service\n[Service]\nType=oneshot\nExecStart=/bin/true\n";
const SERVICE: &str = "[Service]\nType=notify\nNotifyAccess=all\nNonBlocking=yes\nRestart=always\n\
                       RestartSec=50ms\nSockets=api-http.socket\nSlice=app-api.slice\n\
                       ExecStart=/usr/bin/python3 APP %i\n\
                       [Install]\nWantedBy=multi-user.target\n";

/// The outer process.
pub fn outer(port: &str, app: &str) -> ExitCode {
    match embedded::enter(["inner", port, app]) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "failed to start the private manager: {error}");
            ExitCode::from(99)
        }
    }
}

/// The inner process: starts two instances, prints every line, stops when asked.
pub fn inner(port: &str, app: &str) -> ExitCode {
    let mut lifeline = Lifeline::take().unwrap();
    let (sender, lines) = channel();
    let manager =
        match Manager::start(ManagerOptions { lines: sender, ready: Duration::from_secs(20) }) {
            Ok(manager) => manager,
            Err(error) => {
                print(&lines);
                let _ = writeln!(std::io::stderr(), "failed to start the private manager: {error}");
                return ExitCode::from(99);
            }
        };
    let printer = std::thread::spawn(move || print(&lines));
    let units = manager.unit_dir();
    fs::write(units.join("api-http.socket"), SOCKET.replace("PORT", port)).unwrap();
    fs::write(units.join("api-wake.service"), WAKE).unwrap();
    fs::write(units.join("api@.service"), SERVICE.replace("APP", app)).unwrap();
    for arguments in [
        &["daemon-reload"][..],
        &["--runtime", "enable", "api@0", "api@1"],
        &["start", "api-http.socket", "api@0", "api@1"],
    ] {
        let mut systemctl = Command::new("systemctl");
        let status = systemctl.arg("--user").args(arguments).envs(manager.environment()).status();
        assert!(status.unwrap().success(), "{arguments:?}");
    }
    std::thread::spawn(move || {
        let stop = lifeline.wait();
        assert_eq!(stop, LifelineRequest::Stop);
        manager.stop(Duration::from_secs(20));
    })
    .join()
    .unwrap();
    printer.join().unwrap();
    ExitCode::SUCCESS
}

/// The terminal may be gone, which is no reason to stop before the apps have drained.
fn print(lines: &Receiver<OutputLine>) {
    for line in lines {
        let _ = writeln!(std::io::stdout(), "{} | {}", line.unit, line.text);
    }
}
