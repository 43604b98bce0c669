#![allow(clippy::unwrap_used, missing_docs)]
mod host;
use std::process::ExitCode;
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[1..] {
        ["outer", port, app] => host::outer(port, app),
        ["inner", port, app] => host::inner(port, app),
        _ => ExitCode::SUCCESS,
    }
}
