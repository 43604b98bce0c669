use clusterctl::error::exit;

use crate::stage::Stage;

#[test]
fn prints_a_script_for_each_shell() {
    let stage = Stage::new().without_bus();
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, err) = stage.said(&["completions", shell]);
        assert_eq!((code, err.as_str()), (exit::OK, ""));
        assert!(out.contains("clusterctl"), "{shell}");
    }
    stage.run(&["completions", "tcsh"], exit::USAGE);
    stage.expect("completions-refused");
}
