//! The INVITE client transaction: RFC 3261 §17.1.1 with the Accepted state of RFC 6026 §7.2.
//!
//! ```text
//! Calling ──1xx──► Proceeding ──3xx–6xx──► Completed ──D──► over
//!    │ A: again, B: 408    └──2xx──► Accepted ──M──► over
//! ```
//! It decides when to send the INVITE again, when to acknowledge a refusal, and what to pass on.

use super::timer::{Due, TIMER_D, Times, earlier};
use model::Mono;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Calling,
    Proceeding,
    Completed,
    Accepted,
}

/// One INVITE of ours.
#[derive(Debug)]
pub(crate) struct ClientInvite {
    state: State,
    /// Timer A and its interval.
    again: Option<Mono>,
    interval: Duration,
    /// Timer B, D or M.
    until: Option<Mono>,
    /// Nobody waits for the answer any more, so it does not get forever.
    is_bounded: bool,
    times: Times,
    reliable: bool,
}

/// What to do with a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Nothing.
    Absorb,
    /// Tell the session.
    Pass,
    /// Acknowledge the refusal and tell the session.
    AckAndPass,
    /// Acknowledge a refusal that came again.
    AckAgain,
}

impl ClientInvite {
    /// The INVITE has just been sent.
    pub fn new(now: Mono, times: Times, reliable: bool) -> ClientInvite {
        ClientInvite {
            state: State::Calling,
            again: (!reliable).then(|| now + times.t1),
            interval: times.t1,
            until: Some(now + times.give_up()),
            is_bounded: false,
            times,
            reliable,
        }
    }

    /// When to look again.
    pub fn deadline(&self) -> Option<Mono> {
        earlier(self.again, self.until)
    }

    /// Whether a final response is still to come.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Calling | State::Proceeding)
    }

    /// Whether a provisional response has come: only then may a CANCEL leave (RFC 3261 §9.1).
    pub fn is_proceeding(&self) -> bool {
        self.state == State::Proceeding
    }

    /// A response with this status came.
    pub fn on_response(&mut self, now: Mono, status: u16) -> Heard {
        match (self.state, status) {
            (State::Calling | State::Proceeding, 100..=199) => {
                self.state = State::Proceeding;
                self.again = None;
                if !self.is_bounded {
                    self.until = None;
                }
                Heard::Pass
            }
            (State::Calling | State::Proceeding, 200..=299) => {
                self.state = State::Accepted;
                self.again = None;
                self.until = Some(now + self.times.give_up());
                Heard::Pass
            }
            (State::Calling | State::Proceeding, _) => {
                self.state = State::Completed;
                self.again = None;
                // On a stream nothing is sent twice: timer D is zero there.
                self.until = Some(if self.reliable { now } else { now + TIMER_D });
                Heard::AckAndPass
            }
            (State::Accepted, 200..=299) => Heard::Pass,
            (State::Completed, 300..) => Heard::AckAgain,
            (State::Accepted | State::Completed, _) => Heard::Absorb,
        }
    }

    /// Nobody waits for the answer any more: it gets 64·T1 to come, as after a CANCEL
    /// (RFC 3261 §9.1).
    pub fn bound(&mut self, now: Mono) {
        self.is_bounded = true;
        if self.state == State::Proceeding {
            self.until = Some(now + self.times.give_up());
        }
    }

    /// The deadline may have come.
    pub fn on_timer(&mut self, now: Mono) -> Due {
        if self.until.is_some_and(|at| at <= now) {
            return match self.state {
                State::Calling | State::Proceeding => Due::TimedOut,
                State::Completed | State::Accepted => Due::Over,
            };
        }
        match self.again {
            Some(at) if at <= now => {
                // Timer A doubles without a cap (RFC 3261 §17.1.1.2).
                self.interval *= 2;
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

    fn ms(ms: u64) -> Mono {
        Mono::from_micros(ms * 1000)
    }

    fn walk(tx: &mut ClientInvite) -> Vec<(u64, Due)> {
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
    fn an_unanswered_invite_is_sent_seven_times_and_times_out_after_32_s() {
        let mut tx = ClientInvite::new(Mono::ZERO, TIMES, false);
        let at = [500, 1500, 3500, 7500, 15_500, 31_500];
        let mut want: Vec<_> = at.iter().map(|t| (*t, Due::Retransmit)).collect();
        want.push((32_000, Due::TimedOut));
        assert_eq!(walk(&mut tx), want);
    }

    #[test]
    fn on_a_stream_an_invite_is_sent_once() {
        let mut tx = ClientInvite::new(Mono::ZERO, TIMES, true);
        assert_eq!(walk(&mut tx), [(32_000, Due::TimedOut)]);
    }

    #[test]
    fn a_provisional_response_stops_the_clock() {
        let mut tx = ClientInvite::new(Mono::ZERO, TIMES, false);
        assert_eq!(tx.on_response(ms(100), 180), Heard::Pass);
        assert_eq!(tx.deadline(), None);
        tx.bound(ms(200));
        assert_eq!(tx.on_response(ms(300), 183), Heard::Pass);
        assert_eq!(walk(&mut tx), [(32_200, Due::TimedOut)]);
    }

    #[test]
    fn a_refusal_is_acknowledged_each_time_for_32_s() {
        let mut tx = ClientInvite::new(Mono::ZERO, TIMES, false);
        assert_eq!(tx.on_response(ms(100), 486), Heard::AckAndPass);
        assert_eq!(tx.on_response(ms(600), 486), Heard::AckAgain);
        assert_eq!(tx.on_response(ms(600), 180), Heard::Absorb);
        assert_eq!(walk(&mut tx), [(32_100, Due::Over)]);
    }

    #[test]
    fn every_2xx_is_passed_on_until_timer_m() {
        let mut tx = ClientInvite::new(Mono::ZERO, TIMES, false);
        assert_eq!(tx.on_response(ms(100), 200), Heard::Pass);
        assert_eq!(tx.on_response(ms(600), 200), Heard::Pass);
        assert_eq!(tx.on_response(ms(600), 486), Heard::Absorb);
        assert_eq!(walk(&mut tx), [(32_100, Due::Over)]);
    }
}
