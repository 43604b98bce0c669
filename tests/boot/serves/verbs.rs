//! Each verb that starts something tells the truth of it: apply, start, restart, scale.

use std::time::Duration;

use super::{enabled, instances, online, problems, refused, remembered, shop, write};
use crate::booted;
use crate::shop::{apply, ecosystem, pids};
use crate::support::wait_until;

booted!(a_first_apply_that_does_not_stay_up_is_no_success, |m| {
    write(m, "all 100", &ecosystem(2, ""));
    let output = apply(m);
    refused(
        &output,
        &["died soon after it was ready", "died on purpose", "next: clusterctl logs shop@"],
    );
    assert_eq!(remembered(m), 0);
    m.ok(["clusterctl", "delete", "shop"]);
    let worker = "[[apps]]\nname = 'shop'\nscript = 'worker.js'\ninstances = 2\n";
    write(m, "all 0", worker);
    refused(&apply(m), &["shop@", "worker broken on purpose"]);
    // One restart, which comes at once, can happen to anybody.
    wait_until("it has ended more than once", Duration::from_secs(20), || {
        m.clusterctl(["doctor"]).code == 1
    });
    m.write("/srv/shop/dies", "");
    m.ok(["clusterctl", "restart", "shop"]);
    let output = apply(m);
    assert_eq!((output.code, remembered(m)), (0, 1), "{output:#?}");
    // A new worker that throws at its start replaces no old one.
    let before = pids(m, 2);
    m.write("/srv/shop/dies", "all 0");
    refused(&m.clusterctl(["reload", "shop"]), &["shop@2 ", "worker broken on purpose"]);
    assert_eq!((pids(m, 2), online(m)), (before, 2));
});

booted!(start_restart_and_scale_tell_the_truth, |m| {
    shop(m, 2, "");
    m.ok(["clusterctl", "stop", "shop"]);
    m.write("/srv/shop/dies", "1 300");
    let says = &[
        "shop@1 died soon after it was ready: it ended with code 3",
        "next: clusterctl logs shop@1",
    ];
    refused(&m.clusterctl(["start", "shop"]), says);
    refused(&m.clusterctl(["restart", "shop"]), says);
    // A verb about one instance judges that instance only.
    m.ok(["clusterctl", "restart", "shop@0"]);
    refused(&m.clusterctl(["restart", "shop@1"]), says);
    m.write("/srv/shop/dies", "");
    m.ok(["clusterctl", "restart", "shop"]);
    assert_eq!(online(m), 2);
    let before = pids(m, 2);
    m.write("/srv/shop/dies", "3 300");
    let output = m.clusterctl(["scale", "shop", "4"]);
    refused(&output, &["shop@3 died soon after it was ready"]);
    // The number goes back as well.
    assert_eq!(enabled(m), "shop@0.service shop@1.service", "{output:#?}");
    assert_eq!(instances(m), "shop@0.service shop@1.service", "{output:#?}");
    assert_eq!(pids(m, 2), before);
    m.write("/srv/shop/dies", "");
    m.ok(["clusterctl", "scale", "shop", "4"]);
    assert_eq!(online(m), 4);
});

booted!(nothing_to_do_is_said_only_of_what_serves, |m| {
    let more = "restart_delay = '2s'\nmax_restarts = 'unlimited'";
    write(m, "all 100", &ecosystem(2, more));
    refused(&apply(m), &["shop@"]);
    for round in 0..3 {
        let output = apply(m);
        refused(&output, &["shop@", "ends again and again", "next: clusterctl logs shop@"]);
        assert!(!output.stdout.contains("nothing to do"), "round {round}: {output:#?}");
        assert_eq!(remembered(m), 0, "round {round}");
    }
    m.write("/srv/shop/dies", "");
    m.ok(["clusterctl", "restart", "shop"]);
    let output = apply(m);
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(output.stdout.contains("nothing to do"), "{output:#?}");
    assert_eq!(remembered(m), 1);
});

booted!(a_failed_apply_puts_the_number_back_too, |m| {
    let links = |numbers: std::ops::Range<u32>| {
        numbers.map(|n| format!("shop@{n}.service")).collect::<Vec<_>>().join(" ")
    };
    for (before, wanted) in [(4, 2), (2, 4)] {
        shop(m, before, "");
        for dies in ["all 300", "1 600"] {
            let env = format!("env = {{ DIES = '{dies}' }}");
            m.write("/srv/shop/ecosystem.toml", ecosystem(wanted, &env));
            let output = apply(m);
            refused(&output, &["the former definition runs everywhere again"]);
            assert_eq!(enabled(m), links(0..before), "{before} to {wanted}: {output:#?}");
            assert_eq!(instances(m), links(0..before), "{before} to {wanted}: {output:#?}");
        }
        let group = m.read("/etc/systemd/system/shop.service");
        assert!(group.contains(&format!("\nInstances={before}\n")), "{group}");
        m.ok(["clusterctl", "delete", "shop"]);
    }
});

booted!(a_start_without_the_working_folder_is_no_success, |m| {
    shop(m, 2, "");
    m.ok(["mv", "/srv/shop", "/srv/former"]);
    m.ok(["systemctl", "kill", "--signal=KILL", "shop@1"]);
    wait_until("the instance has ended", Duration::from_secs(30), || {
        m.systemctl_show("shop@1", "ActiveState") == "inactive"
    });
    // `systemctl start` fails too, and shows the reason.
    let output = m.run(["systemctl", "start", "shop@1"]);
    assert_eq!(output.code, 1, "{output:#?}");
    let status = m.run(["systemctl", "status", "shop@1"]).stdout;
    assert!(status.contains("start assertion failed"), "{status}");
    assert!(m.journal("shop@1").contains("Assertion failed"), "{}", m.journal("shop@1"));
    assert!(m.clusterctl(["list"]).stdout.contains("errored"), "{:#?}", m.clusterctl(["list"]));
    let why = "shop@1 could not be started: a folder that it needs is not there: `/srv/shop` does not exist";
    for command in [&["start", "shop@1"][..], &["restart", "shop@1"]] {
        let output = m.clusterctl(command);
        refused(&output, &[why]);
        assert!(!output.stderr.contains("✓"), "{output:#?}");
    }
    refused(&m.clusterctl(["reload", "shop"]), &[why]);
    let found = m.clusterctl(["doctor", "shop"]).stdout;
    assert!(found.contains(why), "{found}");
    // The path exists again as another folder: running instances are still in the removed one.
    m.ok_sh("cp -r /srv/former /srv/shop; rm -r /srv/former");
    let output = apply(m);
    assert_eq!(output.code, 0, "{output:#?}");
    let found = m.clusterctl(["doctor", "shop"]).stdout;
    assert!(found.contains("shop@0 runs in a folder that was removed"), "{found}");
    assert!(!found.contains("shop@1 runs in a folder"), "{found}");
    m.ok(["clusterctl", "reload", "shop"]);
    let found = m.clusterctl(["doctor", "shop"]).stdout;
    assert!(!found.contains("runs in a folder"), "{found}");
    assert_eq!((online(m), problems(m).as_str()), (2, ""));
});
