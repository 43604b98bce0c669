//! What every verb takes: which manager, and how the answer looks. It never decides what is said.

use std::path::PathBuf;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::ecosystem::Scope;
use crate::error::Error;

/// What every verb takes.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Options of all commands")]
pub(super) struct Global {
    /// Talk to the service manager of the calling user
    #[arg(long, global = true, conflicts_with = "system")]
    pub(super) user: bool,
    /// Talk to the system's service manager (default)
    #[arg(long, global = true)]
    pub(super) system: bool,
    /// Form of the output; with `start` also the file for standard output, as in PM2
    #[arg(short, long, global = true, value_name = "FORM", value_parser = Forms, default_value = "text")]
    output: Output,
    /// Say nothing but data, warnings and errors
    #[arg(short, long, global = true)]
    pub(super) silent: bool,
    /// Say more: each unit of a plan, all fields of a log entry
    #[arg(short, long, global = true)]
    pub(super) verbose: bool,
    /// No colours, as with NO_COLOR
    #[arg(long, global = true, alias = "no-colors")]
    pub(super) no_color: bool,
}

/// Form of the output.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// PM2's meaning of `-o`, which `start` knows too.
    File(PathBuf),
}

impl Global {
    /// Which manager is meant.
    pub(super) fn scope(&self, by_default: Scope) -> Scope {
        match (self.user, self.system) {
            (true, _) => Scope::User,
            (false, true) => Scope::System,
            (false, false) => by_default,
        }
    }

    /// Whether data is asked for instead of text.
    pub(super) fn json(&self) -> bool {
        self.output == Output::Json
    }

    /// The file that `-o` names, if it names one.
    pub(super) fn output_file(&self) -> Option<&PathBuf> {
        match &self.output {
            Output::File(path) => Some(path),
            Output::Text | Output::Json => None,
        }
    }

    /// For verbs that have no use for such a file.
    ///
    /// # Errors
    /// One is named.
    pub(super) fn refuse_file(&self) -> Result<(), Error> {
        let Some(file) = self.output_file() else { return Ok(()) };
        Err(Error::Usage(format!(
            "`-o {}` is a file for the output of a program, which `start` takes alone; here: -o text or -o json",
            file.display()
        )))
    }
}

/// The two forms, and files: those have a slash or a point in their names, so that a slip in the name
/// of a form makes no file.
#[derive(Clone, Debug)]
struct Forms;

impl TypedValueParser for Forms {
    type Value = Output;

    fn parse_ref(
        &self,
        cmd: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<Output, clap::Error> {
        let text = value.to_string_lossy();
        match text.as_ref() {
            "text" => return Ok(Output::Text),
            "json" => return Ok(Output::Json),
            file if file.contains(['/', '.']) || file == "NULL" => {
                return Ok(Output::File(PathBuf::from(value)));
            }
            _ => {}
        }
        let mut error = clap::Error::new(ErrorKind::InvalidValue).with_cmd(cmd);
        let name = arg.map_or_else(String::new, ToString::to_string);
        error.insert(ContextKind::InvalidArg, ContextValue::String(name));
        error.insert(ContextKind::InvalidValue, ContextValue::String(text.into_owned()));
        let forms = ["text", "json"].map(str::to_owned).to_vec();
        error.insert(ContextKind::ValidValue, ContextValue::Strings(forms));
        Err(error)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let forms = [
            PossibleValue::new("text").help("For people"),
            PossibleValue::new("json").help("For programs"),
        ];
        Some(Box::new(forms.into_iter()))
    }
}
