//! The server transaction of every method but INVITE: RFC 3261 §17.2.2.
//!
//! ```text
//! Trying ──final──► Completed ──J──► over
//! ```

use super::timer::{Due, Times};
use model::Mono;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Trying,
    Completed { until: Mono },
}

/// One request of a peer other than INVITE and ACK.
#[derive(Debug)]
pub(crate) struct Server {
    state: State,
    times: Times,
    reliable: bool,
}

impl Server {
    /// A request has just arrived.
    pub fn new(times: Times, reliable: bool) -> Server {
        Server {
            state: State::Trying,
            times,
            reliable,
        }
    }

    /// When to look again.
    pub fn deadline(&self) -> Option<Mono> {
        match self.state {
            State::Trying => None,
            State::Completed { until } => Some(until),
        }
    }

    /// Whether we still owe a final response.
    pub fn is_pending(&self) -> bool {
        self.state == State::Trying
    }

    /// The request came again; true if the last response is due again.
    pub fn on_again(&self) -> bool {
        !self.is_pending()
    }

    /// We gave the final response.
    pub fn on_answer(&mut self, now: Mono) {
        let until = if self.reliable {
            now
        } else {
            now + self.times.give_up()
        };
        self.state = State::Completed { until };
    }

    /// The deadline may have come.
    pub fn on_timer(&mut self, now: Mono) -> Due {
        match self.state {
            State::Completed { until } if until <= now => Due::Over,
            State::Completed { .. } | State::Trying => Due::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_answer_is_kept_for_copies_for_32_s_on_udp_and_not_at_all_on_a_stream() {
        let times = Times {
            t1: Duration::from_millis(500),
        };
        let mut udp = Server::new(times, false);
        assert!(!udp.on_again());
        udp.on_answer(Mono::ZERO);
        assert!(udp.on_again());
        assert_eq!(udp.deadline(), Some(Mono::from_micros(32_000_000)));
        let mut tcp = Server::new(times, true);
        tcp.on_answer(Mono::ZERO);
        assert_eq!(tcp.on_timer(Mono::ZERO), Due::Over);
    }
}
