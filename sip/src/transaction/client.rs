//! The client transaction of every method but INVITE: RFC 3261 §17.1.2.
//!
//! ```text
//! Trying ──1xx──► Proceeding ──final──► Completed ──K──► over
//!    └ E: again, F: 408 ┘
//! ```

use super::timer::{Due, T2, T4, Times, earlier};
use model::Mono;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Trying,
    Proceeding,
    Completed,
}

/// One request of ours other than INVITE and ACK.
#[derive(Debug)]
pub(crate) struct Client {
    state: State,
    /// Timer E and its interval.
    again: Option<Mono>,
    interval: Duration,
    /// Timer F or K.
    until: Mono,
    reliable: bool,
}

impl Client {
    /// The request has just been sent.
    pub fn new(now: Mono, times: Times, reliable: bool) -> Client {
        Client {
            state: State::Trying,
            again: (!reliable).then(|| now + times.t1),
            interval: times.t1,
            until: now + times.give_up(),
            reliable,
        }
    }

    /// When to look again.
    pub fn deadline(&self) -> Option<Mono> {
        earlier(self.again, Some(self.until))
    }

    /// Whether a final response is still to come.
    pub fn is_pending(&self) -> bool {
        self.state != State::Completed
    }

    /// A response with this status came; true if the session should hear of it.
    pub fn on_response(&mut self, now: Mono, status: u16) -> bool {
        match (self.state, status) {
            (State::Trying | State::Proceeding, 100..=199) => {
                self.state = State::Proceeding;
                false
            }
            (State::Trying | State::Proceeding, _) => {
                self.state = State::Completed;
                self.again = None;
                self.until = if self.reliable { now } else { now + T4 };
                true
            }
            (State::Completed, _) => false,
        }
    }

    /// The deadline may have come.
    pub fn on_timer(&mut self, now: Mono) -> Due {
        if self.until <= now {
            return match self.state {
                State::Trying | State::Proceeding => Due::TimedOut,
                State::Completed => Due::Over,
            };
        }
        match self.again {
            Some(at) if at <= now => {
                self.interval = match self.state {
                    State::Trying => (self.interval * 2).min(T2),
                    State::Proceeding | State::Completed => T2,
                };
                self.again = Some(now + self.interval);
                Due::Retransmit
            }
            Some(_) | None => Due::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: Times = Times {
        t1: Duration::from_millis(500),
    };

    fn walk(tx: &mut Client) -> Vec<(u64, Due)> {
        let mut seen = Vec::new();
        while let Some(at) = tx.deadline() {
            let due = tx.on_timer(at);
            seen.push((at.as_micros() / 1000, due));
            if matches!(due, Due::TimedOut | Due::Over) {
                break;
            }
        }
        seen
    }

    #[test]
    fn an_unanswered_request_doubles_to_t2_and_times_out_after_32_s() {
        let mut tx = Client::new(Mono::ZERO, TIMES, false);
        let at = [
            500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500,
        ];
        let mut want: Vec<_> = at.iter().map(|t| (*t, Due::Retransmit)).collect();
        want.push((32_000, Due::TimedOut));
        assert_eq!(walk(&mut tx), want);
    }

    #[test]
    fn after_a_provisional_response_it_repeats_every_t2() {
        let mut tx = Client::new(Mono::ZERO, TIMES, false);
        assert!(!tx.on_response(Mono::from_micros(100_000), 100));
        let at: Vec<u64> = walk(&mut tx).iter().map(|(at, _)| *at).collect();
        assert_eq!(at[..3], [500, 4500, 8500]);
    }

    #[test]
    fn a_final_response_is_passed_once_and_remembered_for_t4_on_udp_only() {
        for (reliable, over) in [(false, 5100), (true, 100)] {
            let mut tx = Client::new(Mono::ZERO, TIMES, reliable);
            assert!(tx.on_response(Mono::from_micros(100_000), 200));
            assert!(!tx.on_response(Mono::from_micros(100_000), 200));
            assert_eq!(walk(&mut tx), [(over, Due::Over)]);
        }
    }
}
