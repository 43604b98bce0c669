//! docs/logs.md: every command of its shell blocks is run, on the app that the page speaks of.

use std::fs;
use std::path::Path;

use crate::booted_long;
use crate::shop::{applied, ecosystem};

/// Lines of the page's shell blocks, without what stands behind them.
fn commands() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/logs.md");
    let text = fs::read_to_string(path).unwrap();
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let lines = blocks.flat_map(str::lines).map(|line| line.split("  #").next().unwrap_or(line));
    lines.map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

booted_long!(commands_of_the_page_do_what_it_says, |m| {
    m.ok(["mkdir", "-p", "/var/log/shop"]);
    let files = "out_file = '/var/log/shop/out.log'\nlog_rate_limit = 'unlimited'";
    applied(m, &ecosystem(2, files));
    let commands = commands();
    assert!(commands.len() > 15, "{commands:?}");
    for command in &commands {
        let output = m.sh(command);
        // The doctor may find something about the machine of the test.
        let fine = output.code == 0 || command.starts_with("clusterctl doctor");
        assert!(fine, "{command}: {output:#?}");
    }
    let doctor = m.clusterctl(["doctor"]).stdout;
    assert!(
        doctor.contains("the journal is kept on disk") && doctor.contains("at most 2G"),
        "{doctor}"
    );
    assert!(
        doctor.contains("and 30day of age; it takes 10000 lines of a service in 30s"),
        "{doctor}"
    );
});
