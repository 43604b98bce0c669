//! What is said at a door: one command in each datagram, as text, and one answer to each.

/// What is asked of a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// A connection comes along, for the listener on this port.
    Connection(u16),
    /// Clients of the shared listener are taken from now on.
    Open,
    /// They are left to other instances from now on.
    Close,
    /// How the instance is.
    State,
}

impl Command {
    /// The datagram.
    pub fn text(self) -> String {
        match self {
            Command::Connection(port) => format!("connection {port}"),
            Command::Open => "open".to_owned(),
            Command::Close => "close".to_owned(),
            Command::State => "state".to_owned(),
        }
    }

    /// The first word of the answer when it was done.
    pub fn done(self) -> &'static str {
        match self {
            Command::Connection(_) => "accepted",
            Command::Open => "open",
            Command::Close => "closed",
            Command::State => "state",
        }
    }
}

/// Whether an instance takes clients of the shared listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It does.
    Open,
    /// Not yet: it has not passed its checks.
    Cold,
    /// Not any more: it was taken out of rotation.
    Closed,
}

/// What an instance says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoorState {
    /// Whether it takes clients.
    pub gate: Gate,
    /// Connections that it has, if it counts them.
    pub connections: Option<u64>,
    /// Connections that wait at the listeners for whoever takes them.
    pub waiting: Option<u64>,
}

impl DoorState {
    /// Reads the answer to [`Command::State`]. Words of later versions are left out.
    pub fn read(answer: &str) -> Option<DoorState> {
        let mut words = answer.split_ascii_whitespace();
        if words.next() != Some(Command::State.done()) {
            return None;
        }
        let gate = match words.next()? {
            "open" => Gate::Open,
            "cold" => Gate::Cold,
            "closed" => Gate::Closed,
            _ => return None,
        };
        let mut state = DoorState { gate, connections: None, waiting: None };
        for (name, number) in words.filter_map(|word| word.split_once('=')) {
            match name {
                "connections" => state.connections = number.parse().ok(),
                "waiting" => state.waiting = number.parse().ok(),
                _ => {}
            }
        }
        Some(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_with_words_of_later_versions() {
        let read = |text| DoorState::read(text);
        let state = |gate, connections, waiting| Some(DoorState { gate, connections, waiting });
        assert_eq!(read("state open connections=3 waiting=0"), state(Gate::Open, Some(3), Some(0)));
        assert_eq!(read("state cold since=9 waiting=1 new\n"), state(Gate::Cold, None, Some(1)));
        assert_eq!(read("state closed connections=x"), state(Gate::Closed, None, None));
        for bad in ["", "state", "state ajar", "open", "unknown"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    /// The library's side of the same words.
    #[test]
    fn the_library_understands_and_answers_so() {
        use crate::handover::door;
        let asked = |command: Command| door::command(command.text().as_bytes());
        assert_eq!(asked(Command::Connection(3000)), door::Command::Connection(Some(3000)));
        assert_eq!(asked(Command::Open), door::Command::Open);
        assert_eq!(asked(Command::Close), door::Command::Close);
        assert_eq!(asked(Command::State), door::Command::State);
        assert_eq!(Command::Connection(1).done().as_bytes(), door::ACCEPTED);
        assert_eq!(Command::Open.done().as_bytes(), door::OPENED);
        assert_eq!(Command::Close.done().as_bytes(), door::CLOSED);
        for (rotation, gate) in [
            (door::Rotation::Open, Gate::Open),
            (door::Rotation::Cold, Gate::Cold),
            (door::Rotation::Closed, Gate::Closed),
        ] {
            let said = door::State { rotation, connections: 3, waiting: 1 }.to_string();
            let state = DoorState { gate, connections: Some(3), waiting: Some(1) };
            assert_eq!(DoorState::read(&said), Some(state), "{said}");
        }
    }

    #[test]
    fn each_command_has_its_answer() {
        assert_eq!(Command::Connection(3000).text(), "connection 3000");
        let all = [Command::Connection(1), Command::Open, Command::Close, Command::State];
        assert_eq!(all.map(Command::done), ["accepted", "open", "closed", "state"]);
    }
}
