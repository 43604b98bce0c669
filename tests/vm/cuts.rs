//! The power goes while something changes: the next boot serves, and the next apply completes.

use std::{
    ops::Range,
    time::{Duration, Instant, SystemTime},
};

use crate::{
    guest::Guest,
    shop::{APPLY, apply, ecosystem, files, serving},
};

/// Two instances, on a computer with as many CPUs.
fn version(number: u32) -> String {
    ecosystem(number, "instances = 'max'")
}

/// A computer that serves the first version.
fn serving_guest() -> Option<Guest> {
    let mut guest = Guest::new(&files(&version(1)))?;
    guest.boot(2);
    guest.ok(APPLY);
    assert_eq!(serving(&mut guest, 2), 1);
    Some(guest)
}

#[test]
fn an_apply_outlives_a_power_cut() {
    let Some(mut guest) = serving_guest() else { return };
    // An undisturbed apply takes about five seconds.
    cut_an_apply(&mut guest, 2, Duration::from_secs(2));
}

/// Begins something, cuts the power after this time, and boots.
fn cut(guest: &mut Guest, script: &str, after: Duration) {
    guest.begin(script);
    // Waits for no event: the cut has to come at an arbitrary moment.
    std::thread::sleep(after);
    guest.power_cut();
    guest.boot(2);
}

/// Cuts the power some time after an apply of the next version began.
fn cut_an_apply(guest: &mut Guest, next: u32, after: Duration) {
    cut(guest, &apply(&version(next)), after);
    let version_now = serving(guest, 2);
    eprintln!("cut after {after:?}: version {version_now} of {next}");
    assert!([next - 1, next].contains(&version_now), "{version_now}, not {next}");
    guest.ok(&apply(&version(next)));
    assert_eq!(serving(guest, 2), next);
    assert!(guest.ok(APPLY).contains("nothing to do"));
}

#[test]
#[ignore = "ten boots: make check-long"]
fn ten_power_cuts_of_an_apply() {
    let Some(mut guest) = serving_guest() else { return };
    let begun = Instant::now();
    guest.ok(&apply(&version(2)));
    let mut moments = Moments::new(begun.elapsed());
    // A command that has reported success has its files on the disk.
    guest.power_cut();
    guest.boot(2);
    assert_eq!(serving(&mut guest, 2), 2);
    for next in 3..13 {
        cut_an_apply(&mut guest, next, moments.next());
    }
}

#[test]
#[ignore = "ten boots: make check-long"]
fn ten_power_cuts_of_a_rollout() {
    let Some(mut guest) = serving_guest() else { return };
    let begun = Instant::now();
    guest.ok("clusterctl reload shop");
    let mut moments = Moments::new(begun.elapsed());
    for _ in 0..10 {
        let after = moments.next();
        cut(&mut guest, "clusterctl reload shop", after);
        eprintln!("cut after {after:?}");
        assert_eq!(serving(&mut guest, 2), 1);
        assert!(guest.ok(APPLY).contains("nothing to do"));
        guest.ok("clusterctl reload shop");
        assert_eq!(serving(&mut guest, 2), 1);
    }
}

#[test]
#[ignore = "ten boots: make check-long"]
fn ten_power_cuts_of_the_first_apply() {
    let Some(mut guest) = Guest::new(&files(&version(1))) else { return };
    guest.boot(2);
    let begun = Instant::now();
    guest.ok(APPLY);
    let mut moments = Moments::new(begun.elapsed());
    for round in 0..10 {
        guest.ok("clusterctl delete shop");
        let after = moments.next();
        cut(&mut guest, APPLY, after);
        let up = guest.run("curl -sS http://127.0.0.1:3000/");
        eprintln!("round {round}, cut after {after:?}: {}", up.text.trim_end());
        assert!(
            up.code == 0 || up.text.contains("refused") || up.text.contains("connect"),
            "{up:?}"
        );
        guest.ok(APPLY);
        assert_eq!(serving(&mut guest, 2), 1);
        assert!(guest.ok(APPLY).contains("nothing to do"));
    }
}

#[test]
#[ignore = "two boots: make check-long"]
fn a_deleted_app_stays_deleted_after_a_power_cut() {
    let Some(mut guest) = serving_guest() else { return };
    // `sync` first, so that only the writes of the deletion itself can be lost.
    guest.ok("sync; clusterctl delete shop");
    guest.power_cut();
    guest.boot(2);
    assert_eq!(guest.ok("systemctl list-units --all --no-legend 'shop*'"), "");
    assert_eq!(guest.ok("ls /etc/systemd/system | grep shop || true"), "");
}

/// Moments of something that takes a known time, and a little beyond its end. They differ from run
/// to run; what was wrong once is said with its moment.
struct Moments {
    state: u64,
    within: Range<u64>,
}

impl Moments {
    fn new(whole: Duration) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let whole = u64::try_from(whole.as_micros()).unwrap();
        Self { state: u64::from(now.subsec_nanos()) | 1, within: 0..whole + whole / 10 }
    }

    fn next(&mut self) -> Duration {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        Duration::from_micros(
            self.within.start + self.state % (self.within.end - self.within.start),
        )
    }
}
