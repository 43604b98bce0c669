//! The same points of an app that is statically linked, which the tracer starts: its command and the process of its rollout
//! are killed, and the kernel refuses them what they do on disk.

use super::{Scene, apply, changes, hunt, killed, put};
use crate::errors::{on_disk, refused};
use crate::kills::FILE;
use crate::support::{Machine, Root};
use crate::trace::go_server;

/// Two instances of the server, with this greeting in their environment.
fn file(greeting: &str) -> String {
    format!(
        "[[apps]]\nname = 'shop'\nscript = './server'\nlisten = 3000\ninstances = 2\n\
         env = {{ GREETING = '{greeting}' }}\nrollout = {{ min_ready = 0 }}\n"
    )
}

fn with_server(m: &Machine) {
    if let Some(server) = go_server().filter(|_| !m.exists("/srv/shop/server")) {
        m.copy(server, "/srv/shop/server");
    }
}

const CHANGE: Scene = Scene {
    directions: 2,
    base: |m, round| {
        with_server(m);
        put(m, &file(["one", "two"][round % 2]));
    },
    command: |_, _| format!("apply {FILE}"),
    serves: true,
};

const RELOAD: Scene = Scene {
    directions: 1,
    base: |m, _| {
        with_server(m);
        apply(m, &file("one"));
    },
    command: |_, _| "reload shop".to_owned(),
    serves: true,
};

macro_rules! traced {
    ($name:ident, $scene:expr, $chosen:expr, $attempt:expr) => {
        mod $name {
            use super::*;

            fn points(root: Root, sample: Option<usize>) {
                if go_server().is_some() {
                    hunt(root, &$scene, sample, $chosen, &$attempt);
                }
            }

            #[test]
            fn sample() {
                points(Root::Host, Some(1));
            }

            #[test]
            #[ignore = "every point: make check-long"]
            fn every_point_host() {
                points(Root::Host, None);
            }

            #[test]
            #[ignore = "every point: make check-long"]
            fn every_point_trixie() {
                points(Root::Trixie, None);
            }

            #[test]
            #[ignore = "every point, on Debian testing: make check-long"]
            fn every_point_testing() {
                points(Root::Testing, None);
            }
        }
    };
}

traced!(killed_change, CHANGE, changes, killed);
traced!(killed_reload, RELOAD, changes, killed);
traced!(refused_change, CHANGE, on_disk, refused);
traced!(refused_reload, RELOAD, on_disk, refused);
