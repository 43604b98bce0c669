//! The terminal of the dashboard: taken, drawn on, and given back as it was, however this process ends. It
//! never decides what is drawn.

use std::io::{IsTerminal, Result, stdin};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, KeyCode, KeyEventKind, KeyModifiers};

use crate::error::exit;
use crate::report::monit::{Dashboard, Input, Key, draw};

/// Whether keys can be read.
pub(super) fn is_terminal() -> bool {
    stdin().is_terminal()
}

/// The terminal while it is taken.
#[derive(Debug)]
pub(super) struct Screen {
    terminal: DefaultTerminal,
    colours: bool,
}

impl Screen {
    /// Takes the terminal: another screen, and keys as they are pressed. A panic, in whatever thread, gives
    /// it back, is told, and ends the process: nobody would draw any more.
    ///
    /// # Errors
    /// It is none, or gone.
    pub(super) fn take(colours: bool) -> Result<Screen> {
        let terminal = ratatui::try_init()?;
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            told(panic);
            std::process::exit(i32::from(exit::FAILED));
        }));
        Ok(Screen { terminal, colours })
    }

    pub(super) fn draw(&mut self, dashboard: &Dashboard) -> Result<()> {
        let colours = self.colours;
        self.terminal.draw(|frame| draw(dashboard, colours, frame)).map(drop)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        let _ = ratatui::try_restore();
    }
}

/// The next key, or that the window has another size.
///
/// # Errors
/// The terminal is gone.
pub(super) fn next() -> Result<Input> {
    loop {
        match event::read()? {
            event::Event::Resize(..) => return Ok(Input::Resized),
            event::Event::Key(key) if key.kind != KeyEventKind::Release => {
                if let Some(key) = key_of(key.code, key.modifiers) {
                    return Ok(Input::Key(key));
                }
            }
            _ => {}
        }
    }
}

fn key_of(code: KeyCode, with: KeyModifiers) -> Option<Key> {
    let held = with.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
    Some(match code {
        KeyCode::Char('c' | 'd') if with == KeyModifiers::CONTROL => Key::Interrupt,
        KeyCode::Char(c) if !held => Key::Char(c),
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Tab | KeyCode::BackTab => Key::Tab,
        KeyCode::Backspace => Key::Backspace,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::process::Command;

    use super::*;

    #[test]
    #[ignore = "runs in a terminal of its own, by the test below"]
    fn panics_in_another_thread() {
        if !is_terminal() {
            return;
        }
        let mut screen = Screen::take(true).unwrap();
        screen.draw(&Dashboard::default()).unwrap();
        std::thread::spawn(|| panic!("on purpose")).join().unwrap_err();
        unreachable!("the process has ended");
    }

    /// script(1) of util-linux, which every Debian has, gives a terminal.
    #[test]
    fn a_panic_gives_the_terminal_back_and_ends_the_process() {
        let own = std::env::current_exe().unwrap();
        let test = "cli::monit::screen::tests::panics_in_another_thread";
        let run = format!("{} --exact {test} --ignored --nocapture", own.display());
        let line = format!("stty cols 80 rows 24; stty -a; {run}; echo code $?; stty -a");
        let mut script = Command::new("script");
        script.args(["-qec", &line, "/dev/null"]).env("SHELL", "/bin/sh").env("TERM", "xterm");
        let said = script.stdin(std::process::Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&said.stdout);
        let settings: Vec<&str> = said.matches("-icanon").collect();
        assert!(settings.is_empty(), "{said}");
        assert_eq!(said.matches(" icanon").count(), 2, "{said}");
        let (taken, back) = (said.find("\x1b[?1049h").unwrap(), said.find("\x1b[?1049l").unwrap());
        let told = said.find("on purpose").unwrap();
        assert!(taken < back && back < told, "{said}");
        assert!(said.contains("code 1"), "{said}");
    }

    #[test]
    fn keys_with_a_modifier_are_no_letters() {
        assert_eq!(key_of(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Key::Interrupt));
        assert_eq!(key_of(KeyCode::Char('r'), KeyModifiers::CONTROL), None);
        assert_eq!(key_of(KeyCode::Char('r'), KeyModifiers::NONE), Some(Key::Char('r')));
        assert_eq!(key_of(KeyCode::Char('G'), KeyModifiers::SHIFT), Some(Key::Char('G')));
        assert_eq!(key_of(KeyCode::F(1), KeyModifiers::NONE), None);
    }
}
