//! What the sandboxes cost at a start, printed; nothing is asserted of times.

use crate::shop::{applied, ecosystem};
use crate::support::{Root, machine};

#[test]
#[ignore = "a measurement: docs/endurance.md has its figures"]
fn of_each_sandbox() {
    let Some(m) = machine(Root::Host) else { return };
    m.write("/srv/cost.py", include_str!("fixtures/sandbox/cost.py"));
    let kinds = ["off", "default", "strict"];
    for kind in kinds {
        applied(&m, &ecosystem(1, &format!("sandbox = '{kind}'")));
        m.ok_sh(&format!("cp /etc/systemd/system/shop@.service /srv/{kind}"));
    }
    let units = kinds.map(|kind| format!("{kind}=/srv/{kind}")).join(" ");
    let rounds = std::env::var("ROUNDS").unwrap_or_else(|_| "30".to_owned());
    eprintln!("{}", m.ok_sh(&format!("python3 /srv/cost.py {rounds} {units}")));
}
