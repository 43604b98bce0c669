//! Commands of an ordinary user, killed, interrupted and refused by the kernel at points that an undisturbed run tells,
//! as in `kills` and `errors`; the app is statically linked, and traced at its start.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::booted;
use crate::kills::{KILLER, points_asked_for};
use crate::support::{Machine, Output, User, skip};
use crate::trace::go_server;

const FILE: &str = "/home/ada/ecosystem.toml";
const REFUSED: &str = "Input/output error";

/// Plans for the command and for the process of its rollout.
const PLANS: [&str; 2] = ["/home/ada/command", "/home/ada/rollout"];

/// A verb, and the state from which it starts.
struct Verb {
    /// 2 when rounds alternate between two directions, each of which starts where the other ends; else 1.
    directions: usize,
    base: fn(&User<'_>, usize),
    command: fn(usize) -> String,
    /// Whether the app serves before and after.
    serves: bool,
}

const VERBS: [Verb; 4] = [
    Verb { directions: 2, base: put, command: |_| format!("apply {FILE}"), serves: true },
    Verb { directions: 1, base: |_, _| {}, command: |_| "reload shop".to_owned(), serves: true },
    Verb {
        directions: 2,
        base: |_, _| {},
        command: |round| format!("scale shop {}", 3 - round % 2),
        serves: true,
    },
    Verb {
        directions: 1,
        base: |ada, _| {
            put(ada, 0);
            drop(ada.ok(["clusterctl", "--user", "apply", FILE]));
        },
        command: |_| "delete shop".to_owned(),
        serves: false,
    },
];

fn put(ada: &User<'_>, version: usize) {
    let text = format!(
        "[[apps]]\nname = 'shop'\nscript = './server'\nlisten = 3000\ninstances = 2\n\
         env = {{ VERSION = 'v{version}.' }}\nrollout = {{ min_ready = 0 }}\n"
    );
    ada.write(FILE, &text);
}

/// A point of a run: whose plan tells of it, which of its kind it is, and its label.
type Point = (&'static str, usize, String);

/// Calls that change something, in the order of a run.
pub(crate) fn told(m: &Machine, plan: &'static str) -> Vec<Point> {
    let log = format!("{plan}.log");
    let text = fs::read_to_string(m.path(&log)).unwrap_or_default();
    m.sh(&format!("rm -f {log} {plan}"));
    let mut told: Vec<Point> = Vec::new();
    for label in text.lines().filter(|label| !label.starts_with("ask ")) {
        let count = told.iter().filter(|(_, _, other)| other == label).count() + 1;
        told.push((plan, count, label.to_owned()));
    }
    told
}

/// A number of these points, spread over all; all where no number is given.
pub(crate) fn spread(points: Vec<Point>, wanted: Option<usize>) -> Vec<Point> {
    let step = wanted.map_or(1, |wanted| (points.len() / wanted).max(1));
    points.into_iter().skip(step / 2).step_by(step).take(wanted.unwrap_or(usize::MAX)).collect()
}

/// What is on disk and in the manager, and which version answers.
const STATE: &str = "\
cd
run=/run/user/$(id -u)/clusterctl
find .config/systemd .config/clusterctl .local/share/clusterctl/handover -type f -exec sha256sum {} +
find .config/systemd -type l -printf '%p -> %l\\n'
find .config .local $run -name '.clusterctl-*' -o -name '*.request' -o -path \"$run/unread/*\"
systemctl --user list-units --all --plain --no-legend --state=active,activating,deactivating,failed 'shop*' |
  awk '{ print $1, $3 }'
systemctl --user list-jobs --no-legend --plain
for i in $(seq 12); do curl -sS localhost:3000/environment 2>/dev/null | grep -o 'VERSION=v[0-9]*[.]'; done | sort -u";

fn state(ada: &User<'_>) -> Vec<String> {
    let text = ada.run(["sh", "-c", STATE]).stdout;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn run(ada: &User<'_>, command: &str) -> Output {
    let words = ["python3", "-IS", "/srv/kill.py", PLANS[0], "clusterctl", "--user"];
    ada.run(words.into_iter().chain(command.split(' ')).collect::<Vec<_>>())
}

/// One round of a verb on one machine.
struct Round<'a> {
    m: &'a Machine,
    ada: &'a User<'a>,
    verb: &'a Verb,
    round: usize,
    wanted: Vec<String>,
}

impl<'a> Round<'a> {
    /// Runs it undisturbed; gives its points as well.
    fn undisturbed(
        m: &'a Machine,
        ada: &'a User<'a>,
        verb: &'a Verb,
        round: usize,
    ) -> (Round<'a>, Vec<Point>) {
        (verb.base)(ada, round);
        PLANS.iter().for_each(|plan| ada.write(plan, &format!("list {plan}.log")));
        let output = run(ada, &(verb.command)(round));
        assert_eq!(output.code, 0, "{output:#?}");
        let points = PLANS.map(|plan| told(m, plan)).concat();
        (Round { m, ada, verb, round, wanted: state(ada) }, points)
    }

    /// Has something happen at a point, and runs the command again, which ends as the undisturbed run.
    fn tried(&self, (plan, count, label): &Point, way: &str) {
        let Round { m, ada, verb, round, wanted } = self;
        (verb.base)(ada, *round);
        let step = match way {
            "interrupt" => format!("meet {count} {label}\nkill -INT $COMMAND\n"),
            // The bus is no file, and is killed at instead.
            "fail" if !label.starts_with("send ") => format!("fail {count} {label} 5 once"),
            _ => format!("kill {count} {label}"),
        };
        ada.write(plan, &step);
        let command = (verb.command)(*round);
        let first = run(ada, &command);
        m.sh(&format!("rm -f {plan}"));
        let at = format!("{plan}: {step}: {first:#?}");
        if verb.serves {
            assert!(m.ok(["curl", "-sS", "localhost:3000"]).contains("instance "), "{at}");
        }
        if first.code == 0 {
            assert_eq!(state(ada), *wanted, "{at}");
        } else if step.starts_with("fail") {
            let said = &first.stderr;
            assert!(said.contains(REFUSED) || said.contains("could not be written"), "{at}");
        }
        let second = run(ada, &command);
        // When the first run has removed the app, the second one does not know it.
        assert!(second.code == 0 || !verb.serves && second.code == 5, "{at} {second:#?}");
        assert_eq!(state(ada), *wanted, "{at} {second:#?}");
    }

    /// Runs it once more, so that the other direction starts from the right state.
    fn pass(&self) {
        (self.verb.base)(self.ada, self.round);
        run(self.ada, &(self.verb.command)(self.round));
    }
}

/// What happens at points, one after the other.
const WAYS: [&str; 3] = ["kill", "interrupt", "fail"];

fn hunt(m: &Machine, sample: Option<usize>) {
    let sample = sample.or_else(points_asked_for);
    let Some(server) = go_server() else { return };
    if cfg!(not(target_arch = "x86_64")) {
        return skip::record("system calls are known by their numbers on x86-64");
    }
    let ada = m.user("ada");
    m.write("/srv/kill.py", KILLER);
    m.copy(server, "/home/ada/server");
    put(&ada, 1);
    ada.ok(["clusterctl", "--user", "apply", FILE]);
    let reload = format!(
        "[Service]\nExecReload=\n\
         ExecReload=/usr/bin/python3 -IS /srv/kill.py {} /usr/bin/clusterctl --user rollout shop\n",
        PLANS[1]
    );
    ada.write("/home/ada/.config/systemd/user/shop.service.d/kill.conf", &reload);
    ada.ok(["clusterctl", "--user", "apply", FILE]);
    let (mut count, mut failed) = (0, Vec::new());
    for verb in &VERBS {
        // Once around, so that the runs which tell the points begin where those begin that try them.
        for round in 0..verb.directions {
            (verb.base)(&ada, round);
            assert_eq!(run(&ada, &(verb.command)(round)).code, 0);
        }
        let rounds = (0..verb.directions).map(|round| Round::undisturbed(m, &ada, verb, round));
        let rounds: Vec<(Round<'_>, Vec<Point>)> = rounds.collect();
        for plan in PLANS {
            let of = |points: &[Point]| {
                let own = points.iter().filter(|point| point.0 == plan).cloned().collect();
                spread(own, sample)
            };
            let chosen: Vec<Vec<Point>> = rounds.iter().map(|(_, points)| of(points)).collect();
            let most = chosen.iter().map(Vec::len).max().unwrap_or_default();
            for place in 0..most {
                for ((round, _), points) in rounds.iter().zip(&chosen) {
                    let Some(point) = points.get(place) else {
                        round.pass();
                        continue;
                    };
                    let way = WAYS[count % WAYS.len()];
                    count += 1;
                    // The other points are tried all the same, so that one run names all that fail.
                    if catch_unwind(AssertUnwindSafe(|| round.tried(point, way))).is_err() {
                        failed.push((way, point.clone()));
                        round.pass();
                    }
                }
            }
        }
    }
    eprintln!("{count} points tried, {} failed", failed.len());
    assert!(count > 0 && failed.is_empty(), "of {count} points {failed:#?}");
}

booted!(a_user_whose_commands_are_killed_and_refused_goes_on, |m| hunt(m, Some(2)));

/// The long tests of a hunt: every point, on both systems.
macro_rules! every_point {
    ($hunt:ident) => {
        #[test]
        #[ignore = "every point: make check-long"]
        fn every_point_host() {
            let Some(m) = $crate::support::machine($crate::support::Root::Host) else { return };
            $hunt(&m, None);
        }

        #[test]
        #[ignore = "every point: make check-long"]
        fn every_point_trixie() {
            let Some(m) = $crate::support::machine($crate::support::Root::Trixie) else { return };
            $hunt(&m, None);
        }
    };
}
pub(crate) use every_point;

every_point!(hunt);
