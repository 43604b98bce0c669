//! Every attribute of PM2 that works here has a test of its effect on a booted system.

use std::fs;
use std::path::Path;

use crate::tables::{OF_PM2, fate};

/// The attribute, and the scenario of `tests/boot` that shows what it does.
const EFFECTS: [(&str, &str); 43] = [
    ("script", "es_modules_and_variables_of_the_instance"),
    ("name", "the_commonest_file_of_pm2_just_works"),
    ("name_prefix", "profiles_of_a_file_run_side_by_side"),
    ("filter_env", "filter_env_keeps_variables_of_the_manager_out"),
    ("namespace", "different_apps_are_rolled_out_at_the_same_time"),
    ("cwd", "folder_arguments_rights_and_port_reach_the_program"),
    ("args", "folder_arguments_rights_and_port_reach_the_program"),
    ("exec_interpreter", "node_24_under_another_name_loses_nothing"),
    ("node_args", "folder_arguments_rights_and_port_reach_the_program"),
    ("out_file", "log_files_are_emptied_and_opened_anew"),
    ("error_file", "log_files_are_emptied_and_opened_anew"),
    ("log_file", "log_file_takes_both_streams"),
    ("disable_logs", "folder_arguments_rights_and_port_reach_the_program"),
    ("env", "a_rollback_brings_a_former_definition_back_without_losing_a_request"),
    ("env_NAME", "a_profile_is_remembered"),
    ("max_memory_restart", "an_instance_that_needs_too_much_is_replaced"),
    ("pid_file", "pid_file_holds_the_main_process_of_each_instance"),
    ("restart_delay", "restarts_wait_as_long_as_they_are_told_to"),
    ("exp_backoff_restart_delay", "restarts_wait_as_long_as_they_are_told_to"),
    ("source_map_support", "errors_name_the_source_that_a_program_was_compiled_from"),
    ("wait_ready", "an_instance_is_ready_when_it_says_so"),
    ("instances", "the_commonest_file_of_pm2_just_works"),
    ("kill_timeout", "an_upgraded_connection_gets_the_kill_timeout"),
    ("shutdown_with_message", "a_worker_without_a_listener_gets_its_shutdown_message"),
    ("listen_timeout", "an_instance_that_waits_is_told_what_for"),
    ("cron_restart", "a_schedule_replaces_instances_one_after_the_other"),
    ("merge_logs", "each_instance_writes_to_a_file_of_its_own"),
    ("autostart", "autostart_off_disables"),
    ("autorestart", "a_job_runs_once"),
    ("stop_exit_codes", "an_exit_that_stops_is_no_failure"),
    ("watch_delay", "a_delay_makes_one_reload_of_many_changes"),
    ("watch", "files_that_change_reload_the_app"),
    ("ignore_watch", "files_that_change_reload_the_app"),
    ("min_uptime", "a_crash_loop_ends_as_errored_and_takes_nothing_with_it"),
    ("max_restarts", "no_restarts_means_none_and_unlimited_means_all"),
    ("exec_mode", "the_commonest_file_of_pm2_just_works"),
    ("append_env_to_name", "profiles_of_a_file_run_side_by_side"),
    ("increment_var", "es_modules_and_variables_of_the_instance"),
    ("instance_var", "es_modules_and_variables_of_the_instance"),
    ("treekill", "treekill_false_leaves_other_processes_alone"),
    ("port", "folder_arguments_rights_and_port_reach_the_program"),
    ("uid", "folder_arguments_rights_and_port_reach_the_program"),
    ("gid", "folder_arguments_rights_and_port_reach_the_program"),
];

/// What is warned of and refused.
const OTHERS: &str = "attributes_that_do_nothing_are_warned_of_and_the_app_serves";

/// Text of every scenario.
fn scenarios(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let text = entries.map(|path| match path.is_dir() {
        true => scenarios(&path),
        false if path.extension().is_some_and(|end| end == "rs") => {
            fs::read_to_string(path).unwrap()
        }
        false => String::new(),
    });
    text.collect()
}

#[test]
fn every_attribute_of_pm2_has_a_test_of_its_effect() {
    let text = scenarios(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boot"));
    let is_there = |name: &str| {
        ["booted", "booted_long"].iter().any(|one| text.contains(&format!("{one}!({name},")))
    };
    assert!(is_there(OTHERS));
    let others = text.split(OTHERS).next().unwrap().rsplit("const IDLE").next().unwrap();
    for (name, _) in OF_PM2 {
        let row = EFFECTS.iter().find(|(attribute, _)| *attribute == name);
        match (fate(name).0, row) {
            ("works" | "differs", Some((_, scenario))) => {
                assert!(is_there(scenario), "{name}: tests/boot has no `{scenario}`");
            }
            ("works" | "differs", None) => panic!("{name} has no test of its effect"),
            ("refused", None) => assert!(text.contains(&format!("\"{name} = ")), "{name}"),
            (_, None) => assert!(others.contains(&format!("{name} = ")), "{name}"),
            (fate, Some(_)) => panic!("{name} is {fate} and has no effect"),
        }
    }
}
