//! `clusterctl serve-files`: the program of the app that `clusterctl serve` makes. A plain server of files: its
//! unit hands its listener over and drains it as those of every other program, so that it knows nothing of
//! either. It writes no file, and serves none outside of its folder.

mod answer;
mod connection;
mod files;

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::Error;

/// Serve the files of a folder
///
/// This is what the unit of an app of `clusterctl serve` runs.
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(super) struct ServeFilesArgs {
    /// The folder; through links anew with every request
    path: PathBuf,
    /// The port; else what PORT says, else 8080
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// A path that is not there gets the home page, for apps of one page
    #[arg(long)]
    spa: bool,
    /// The home page of --spa
    #[arg(long, value_name = "FILE", default_value = "/index.html")]
    homepage: String,
}

/// What a server serves, and to whom.
#[derive(Debug)]
struct Site {
    folder: PathBuf,
    /// What is served in the place of what is not there.
    fallback: Option<String>,
    /// The header line of whoever may see it, where not everybody may.
    password: Option<String>,
}

/// Connections at once; more wait in the queue of the listener, where other instances take them.
const MOST: usize = 512;

/// A thread of a connection needs little.
const STACK: usize = 256 * 1024;

/// The port where nothing says another one: PM2's.
const PORT: u16 = 8080;

/// Serves until the process ends.
pub(super) fn run(args: &ServeFilesArgs) -> Result<u8, Error> {
    let path = args.path.display().to_string();
    let folder = files::Folder::open(&args.path);
    drop(folder.map_err(|source| Error::Io { doing: "serve", path, source })?);
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let site = Arc::new(Site {
        folder: args.path.clone(),
        fallback: args.spa.then(|| args.homepage.clone()),
        password: password(&variable),
    });
    let port = args.port.or_else(|| variable("PORT")?.parse().ok()).unwrap_or(PORT);
    let failed = |source| Error::Io { doing: "listen on", path: format!("port {port}"), source };
    // Without IPv6 in the kernel there is no such address.
    let listener =
        TcpListener::bind(("::", port)).or_else(|_| TcpListener::bind(("0.0.0.0", port)));
    let listener = listener.map_err(failed)?;
    let places = Arc::new(Places::default());
    loop {
        let Ok((client, _)) = listener.accept() else {
            // The process or the machine has no descriptor left, so that the client stays in the queue and the
            // listener stays readable: waiting for it would not wait. No event tells that a descriptor is free.
            thread::sleep(Duration::from_millis(10));
            continue;
        };
        let place = Place::take(&places);
        let site = Arc::clone(&site);
        let own = move || {
            connection::serve(client, &site);
            drop(place);
        };
        // Without a thread the client is let go of, and may ask again.
        let _ = thread::Builder::new().stack_size(STACK).spawn(own);
    }
}

/// PM2's variables for a password.
fn password(variable: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    variable("PM2_SERVE_BASIC_AUTH").filter(|value| value == "true")?;
    let user = variable("PM2_SERVE_BASIC_AUTH_USERNAME").unwrap_or_default();
    let word = variable("PM2_SERVE_BASIC_AUTH_PASSWORD").unwrap_or_default();
    Some(format!("Basic {}", STANDARD.encode(format!("{user}:{word}"))))
}

/// How many connections are open, and who waits until one of them closes.
#[derive(Default)]
struct Places {
    taken: Mutex<usize>,
    freed: Condvar,
}

/// A connection among those that are permitted at once.
struct Place(Arc<Places>);

impl Place {
    /// Waits until fewer than [`MOST`] are taken.
    fn take(places: &Arc<Places>) -> Place {
        // Nobody panics while holding the lock.
        let taken = places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |taken: &mut usize| *taken >= MOST;
        let free = places.freed.wait_while(taken, full);
        *free.unwrap_or_else(PoisonError::into_inner) += 1;
        Place(Arc::clone(places))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.taken.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.freed.notify_one();
    }
}
