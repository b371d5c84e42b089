//! The INVITE server transaction: RFC 3261 §17.2.1 with the Accepted state of RFC 6026 §7.1.
//!
//! ```text
//! Proceeding ──3xx–6xx──► Completed ──ACK──► Confirmed ──I──► over
//!      │                     └ G: again, H: no ACK, over
//!      └──2xx──► Accepted ──L──► over
//! ```
//! The 2xx itself is repeated by the session (RFC 3261 §13.3.1.4), not here.

use super::timer::{Due, T2, T4, Times, earlier};
use model::Mono;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Proceeding,
    Completed,
    Confirmed,
    Accepted,
}

/// One INVITE of a peer.
#[derive(Debug)]
pub(crate) struct ServerInvite {
    state: State,
    /// Timer G and its interval.
    again: Option<Mono>,
    interval: Duration,
    /// Timer H, I or L.
    until: Option<Mono>,
    times: Times,
    reliable: bool,
}

impl ServerInvite {
    /// An INVITE has just arrived.
    pub fn new(times: Times, reliable: bool) -> ServerInvite {
        ServerInvite {
            state: State::Proceeding,
            again: None,
            interval: times.t1,
            until: None,
            times,
            reliable,
        }
    }

    /// When to look again.
    pub fn deadline(&self) -> Option<Mono> {
        earlier(self.again, self.until)
    }

    /// The INVITE came again; true if the last response is due again.
    pub fn on_again(&self) -> bool {
        match self.state {
            State::Proceeding | State::Completed => true,
            // The session repeats its 2xx by its own clock.
            State::Accepted | State::Confirmed => false,
        }
    }

    /// We answered with this status.
    pub fn on_answer(&mut self, now: Mono, status: u16) {
        match status {
            100..=199 => {}
            200..=299 => {
                self.state = State::Accepted;
                self.until = Some(now + self.times.give_up());
            }
            _ => {
                self.state = State::Completed;
                self.again = (!self.reliable).then(|| now + self.times.t1);
                self.until = Some(now + self.times.give_up());
            }
        }
    }

    /// An ACK came within this transaction.
    pub fn on_ack(&mut self, now: Mono) {
        match self.state {
            State::Completed => {
                self.state = State::Confirmed;
                self.again = None;
                self.until = Some(if self.reliable { now } else { now + T4 });
            }
            State::Proceeding | State::Confirmed | State::Accepted => {}
        }
    }

    /// The deadline may have come.
    pub fn on_timer(&mut self, now: Mono) -> Due {
        if self.until.is_some_and(|at| at <= now) {
            return match self.state {
                State::Completed => Due::TimedOut,
                State::Proceeding | State::Confirmed | State::Accepted => Due::Over,
            };
        }
        match self.again {
            Some(at) if at <= now => {
                self.interval = (self.interval * 2).min(T2);
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

    fn walk(tx: &mut ServerInvite) -> Vec<(u64, Due)> {
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
    fn a_refusal_without_ack_is_repeated_up_to_t2_and_given_up_after_32_s() {
        let mut tx = ServerInvite::new(TIMES, false);
        assert_eq!(tx.deadline(), None);
        tx.on_answer(Mono::ZERO, 486);
        let at = [
            500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500,
        ];
        let mut want: Vec<_> = at.iter().map(|t| (*t, Due::Retransmit)).collect();
        want.push((32_000, Due::TimedOut));
        assert_eq!(walk(&mut tx), want);
    }

    #[test]
    fn an_acknowledged_refusal_absorbs_acks_for_t4_on_udp_only() {
        for (reliable, over) in [(false, 5100), (true, 100)] {
            let mut tx = ServerInvite::new(TIMES, reliable);
            tx.on_answer(Mono::ZERO, 486);
            tx.on_ack(Mono::from_micros(100_000));
            assert!(!tx.on_again());
            assert_eq!(walk(&mut tx), [(over, Due::Over)]);
        }
    }

    #[test]
    fn an_accepted_invite_absorbs_its_copies_until_timer_l() {
        let mut tx = ServerInvite::new(TIMES, false);
        tx.on_answer(Mono::ZERO, 180);
        assert!(tx.on_again());
        tx.on_answer(Mono::ZERO, 200);
        assert!(!tx.on_again());
        assert_eq!(walk(&mut tx), [(32_000, Due::Over)]);
    }
}
