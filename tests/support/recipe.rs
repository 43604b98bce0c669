//! Builds a container from its recipe without a container engine: runs the recipe's own commands, in a root
//! of the Debian release that the recipe names. Knows the instructions that the recipes use, and panics at
//! others, so that no recipe has an instruction that no test performs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{command::succeed, roots, skip};

/// The instructions of a recipe.
#[derive(Debug, Default)]
pub struct Recipe {
    /// Debian's name for the release of the base image.
    pub suite: String,
    steps: Vec<Step>,
    /// The directory in which the entry point runs.
    pub workdir: String,
    /// The signal that ends the container.
    pub stop_signal: String,
    /// The entry point and its arguments.
    pub entry: Vec<String>,
    comments: String,
}

#[derive(Debug)]
enum Step {
    Run(String),
    Copy(String, String),
}

/// A built container; its directory is removed when this value is dropped.
#[derive(Debug)]
pub struct Image {
    pub dir: PathBuf,
    pub recipe: Recipe,
}

impl Recipe {
    /// Reads `packaging/container/NAME`.
    ///
    /// # Panics
    /// At an instruction that this module does not know.
    pub fn read(name: &str) -> Self {
        let text = fs::read_to_string(repository().join("packaging/container").join(name)).unwrap();
        let (comments, lines): (Vec<&str>, Vec<&str>) =
            text.lines().partition(|line| line.starts_with('#'));
        let comments = comments.iter().map(|line| line.trim_start_matches(['#', ' ']));
        let comments = comments.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
        let mut recipe = Self { workdir: "/".to_owned(), comments, ..Self::default() };
        let mut command = Vec::new();
        for line in lines.join("\n").replace("\\\n", " ").lines().filter(|line| !line.is_empty()) {
            let (instruction, rest) = line.split_once(' ').unwrap();
            let rest = rest.trim();
            match instruction {
                "FROM" => {
                    let suite = rest.strip_prefix("debian:").unwrap().strip_suffix("-slim");
                    suite.unwrap().clone_into(&mut recipe.suite);
                }
                "RUN" => recipe.steps.push(Step::Run(rest.to_owned())),
                "COPY" => {
                    let (from, to) = rest.split_once(' ').unwrap();
                    recipe.steps.push(Step::Copy(from.to_owned(), to.to_owned()));
                }
                "WORKDIR" => rest.clone_into(&mut recipe.workdir),
                "STOPSIGNAL" => rest.clone_into(&mut recipe.stop_signal),
                "ENTRYPOINT" => recipe.entry = serde_json::from_str(rest).unwrap(),
                "CMD" => command = serde_json::from_str(rest).unwrap(),
                other => panic!("{name}: no test knows what {other} does"),
            }
        }
        recipe.entry.extend(command);
        recipe
    }

    /// The command that the recipe's comments name and that begins with this text.
    ///
    /// # Panics
    /// When the comments name no such command.
    pub fn command(&self, start: &str) -> String {
        let mut lines = self.comments.lines();
        lines
            .find(|line| line.starts_with(start))
            .unwrap_or_else(|| panic!("no {start}"))
            .to_owned()
    }

    /// The commands before the first file is copied: their result can be kept for other tests.
    fn base(&self) -> Vec<&str> {
        let commands = self.steps.iter().map_while(|step| match step {
            Step::Run(command) => Some(command.as_str()),
            Step::Copy(..) => None,
        });
        commands.collect()
    }

    /// Builds the container.
    ///
    /// # Panics
    /// With the output, when a step fails.
    pub fn build(self) -> Image {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let base = self.base();
        let root = roots::prepare_with(&self.suite, &base);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("{}-{number}", std::process::id());
        let dir = skip::target_dir().join("containers").join(name);
        fs::create_dir_all(&dir).unwrap();
        succeed(Command::new("cp").args(["-a", "-T"]).arg(&root).arg(&dir));
        for step in &self.steps[base.len()..] {
            match step {
                Step::Copy(from, to) => copy(from, &dir.join(to.trim_start_matches('/'))),
                Step::Run(script) => {
                    succeed(Command::new("chroot").arg(&dir).args(["sh", "-c", script]))
                }
            }
        }
        Image { dir, recipe: self }
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Copies as a container engine does, directories by their content. The program comes from this build.
fn copy(from: &str, to: &Path) {
    let source = match from {
        "target/release/clusterctl" => PathBuf::from(env!("CARGO_BIN_EXE_clusterctl")),
        _ => repository().join(from),
    };
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    succeed(Command::new("cp").args(["-a", "--no-preserve=ownership", "-T"]).arg(source).arg(to));
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
