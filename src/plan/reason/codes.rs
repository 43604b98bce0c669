//! Names of exit codes and signals.

/// What systemd means by a code with which it ends a process that it could not start
/// (systemd.exec(5), "Process Exit Codes"): its name, and what is wrong.
pub(super) fn of_manager(code: i32) -> Option<(&'static str, &'static str)> {
    Some(match code {
        200 => ("CHDIR", "its working directory cannot be entered"),
        201 => ("NICE", "its priority cannot be set"),
        202 => ("FDS", "its descriptors cannot be set up"),
        203 => ("EXEC", "its program cannot be executed"),
        204 => ("MEMORY", "there is not enough memory"),
        205 => ("LIMITS", "its resource limits cannot be set"),
        206 => ("OOM_ADJUST", "its OOM score cannot be set"),
        207 => ("SIGNAL_MASK", "its signal mask cannot be set"),
        208 => ("STDIN", "its standard input cannot be opened"),
        209 => ("STDOUT", "its standard output cannot be opened"),
        210 => ("CHROOT", "its root directory cannot be entered"),
        214 => ("SETSCHEDULER", "its scheduling policy cannot be set"),
        215 => ("CPUAFFINITY", "its CPU affinity cannot be set"),
        216 => ("GROUP", "its group cannot be taken"),
        217 => ("USER", "its user does not exist or cannot be taken"),
        218 => ("CAPABILITIES", "its capabilities cannot be set"),
        219 => ("CGROUP", "its cgroup cannot be set up"),
        222 => ("STDERR", "its standard error cannot be opened"),
        224 => ("PAM", "PAM refuses the session"),
        225 => ("NETWORK", "its network namespace cannot be set up"),
        226 => ("NAMESPACE", "its mount namespace, which its sandbox needs, cannot be set up"),
        228 => ("SECCOMP", "its system call filter cannot be set"),
        233 => ("RUNTIME_DIRECTORY", "its runtime directory cannot be made"),
        235 => ("CHOWN", "the owner of its standard streams cannot be changed"),
        238 => ("STATE_DIRECTORY", "its state directory cannot be made"),
        239 => ("CACHE_DIRECTORY", "its cache directory cannot be made"),
        240 => ("LOGS_DIRECTORY", "its log directory cannot be made"),
        241 => ("CONFIGURATION_DIRECTORY", "its configuration directory cannot be made"),
        242 => ("NUMA_POLICY", "its NUMA policy cannot be set"),
        243 => ("CREDENTIALS", "its credentials cannot be set up"),
        _ => return None,
    })
}

/// `SIGKILL`, as signal(7) names it.
pub(super) fn signal(number: i32) -> String {
    let names = [
        "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE",
        "SIGKILL", "SIGUSR1", "SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM",
    ];
    let place = usize::try_from(number - 1).ok();
    let other = match number {
        24 => Some("SIGXCPU"),
        25 => Some("SIGXFSZ"),
        31 => Some("SIGSYS"),
        _ => None,
    };
    let known = place.and_then(|place| names.get(place).copied()).or(other);
    known.map_or_else(|| format!("signal {number}"), str::to_owned)
}
