//! The course of a shift in steps of ten seconds: what agents did, calls in flight, people who
//! answered and people who were abandoned. Shifts add up.

use model::Mono;
use std::ops::Range;

/// One step, in seconds.
pub const BIN_S: u64 = 10;
const BIN_US: u64 = BIN_S * 1_000_000;
/// Five minutes of steps.
const WINDOW: usize = 30;
/// Fewer live answers in five minutes than this say nothing about a rate.
pub const WINDOW_ANSWERS_MIN: u64 = 20;

/// What an agent does, as far as utilisation is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Available or being offered a call.
    Waiting,
    /// Talking.
    Talking,
    /// After-call work.
    WrappingUp,
    /// Not there, or not ready.
    Away,
}

/// One step of ten seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bin {
    /// Agent-µs available.
    pub waiting_us: u64,
    /// Agent-µs talking.
    pub talking_us: u64,
    /// Agent-µs of after-call work.
    pub wrapping_up_us: u64,
    /// Call-µs dialled and neither connected nor over.
    pub in_flight_us: u64,
    /// Persons who answered.
    pub live: u64,
    /// Of them without an agent in time.
    pub abandoned: u64,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    bins: Vec<Bin>,
    since: Mono,
    /// How many agents wait, talk, wrap up; calls in flight.
    now: [u64; 4],
}

/// The step that begins at this hour.
fn bin_of(hours: f64) -> usize {
    (hours * 3_600.0 / BIN_S as f64).round() as usize
}

impl Curve {
    /// A curve of a shift that has not begun.
    pub fn new(shift_us: u64) -> Curve {
        Curve {
            bins: vec![Bin::default(); shift_us.div_ceil(BIN_US) as usize],
            ..Curve::default()
        }
    }

    /// The steps.
    pub fn bins(&self) -> &[Bin] {
        &self.bins
    }

    /// Time goes on until `now`; what is beyond the shift is not counted.
    pub(crate) fn go_to(&mut self, now: Mono) {
        let end = now.as_micros();
        let mut at = self.since.as_micros();
        while at < end {
            let ix = (at / BIN_US) as usize;
            let until = end.min((ix as u64 + 1) * BIN_US);
            let Some(bin) = self.bins.get_mut(ix) else {
                break;
            };
            let us = until - at;
            bin.waiting_us += us * self.now[0];
            bin.talking_us += us * self.now[1];
            bin.wrapping_up_us += us * self.now[2];
            bin.in_flight_us += us * self.now[3];
            at = until;
        }
        self.since = self.since.max(now);
    }

    fn count(&mut self, doing: Doing) -> Option<&mut u64> {
        match doing {
            Doing::Waiting => Some(&mut self.now[0]),
            Doing::Talking => Some(&mut self.now[1]),
            Doing::WrappingUp => Some(&mut self.now[2]),
            Doing::Away => None,
        }
    }

    /// An agent does something else.
    pub(crate) fn agent(&mut self, now: Mono, was: Doing, is: Doing) {
        if was == is {
            return;
        }
        self.go_to(now);
        if let Some(count) = self.count(was) {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = self.count(is) {
            *count += 1;
        }
    }

    /// So many calls are in flight.
    pub(crate) fn in_flight(&mut self, now: Mono, calls: usize) {
        self.go_to(now);
        self.now[3] = calls as u64;
    }

    /// A person answered, and got an agent or did not.
    pub(crate) fn live(&mut self, now: Mono, abandoned: bool) {
        if let Some(bin) = self.bins.get_mut((now.as_micros() / BIN_US) as usize) {
            bin.live += 1;
            bin.abandoned += u64::from(abandoned);
        }
    }

    /// Adds another shift of the same length, or longer.
    pub(crate) fn add(&mut self, other: &Curve) {
        if self.bins.len() < other.bins.len() {
            self.bins.resize(other.bins.len(), Bin::default());
        }
        for (bin, more) in self.bins.iter_mut().zip(&other.bins) {
            bin.waiting_us += more.waiting_us;
            bin.talking_us += more.talking_us;
            bin.wrapping_up_us += more.wrapping_up_us;
            bin.in_flight_us += more.in_flight_us;
            bin.live += more.live;
            bin.abandoned += more.abandoned;
        }
    }

    /// Utilisation over some steps, in per cent; `None` where nobody was there.
    pub fn utilisation_pct(&self, range: Range<usize>) -> Option<f64> {
        let bins = &self.bins[range.start.min(self.bins.len())..range.end.min(self.bins.len())];
        let (mut busy, mut all) = (0, 0);
        for bin in bins {
            busy += bin.talking_us + bin.wrapping_up_us;
            all += bin.talking_us + bin.wrapping_up_us + bin.waiting_us;
        }
        (all > 0).then(|| 100.0 * busy as f64 / all as f64)
    }

    /// The same between two hours of the shift.
    pub fn utilisation_between_h(&self, from_h: f64, to_h: f64) -> Option<f64> {
        self.utilisation_pct(bin_of(from_h)..bin_of(to_h))
    }

    /// The worst abandonment of any five minutes that begin at the first hour or later and end at the
    /// second or before, in per cent.
    pub fn worst_five_minutes_between_pct(&self, from_h: f64, to_h: f64) -> Option<f64> {
        let ends = self.five_minutes_pct();
        let (first, last) = (bin_of(from_h) + WINDOW - 1, bin_of(to_h).min(ends.len()));
        let within = ends.get(first..last.max(first))?;
        within.iter().copied().flatten().reduce(f64::max)
    }

    /// Abandonment of the five minutes that end with each step, in per cent; `None` while fewer than
    /// [`WINDOW_ANSWERS_MIN`] persons answered in them.
    pub fn five_minutes_pct(&self) -> Vec<Option<f64>> {
        (0..self.bins.len())
            .map(|end| {
                let window = &self.bins[(end + 1).saturating_sub(WINDOW)..=end];
                let live: u64 = window.iter().map(|bin| bin.live).sum();
                let abandoned: u64 = window.iter().map(|bin| bin.abandoned).sum();
                (live >= WINDOW_ANSWERS_MIN).then(|| 100.0 * abandoned as f64 / live as f64)
            })
            .collect()
    }

    /// The worst of those.
    pub fn worst_five_minutes_pct(&self) -> Option<f64> {
        self.five_minutes_pct()
            .into_iter()
            .flatten()
            .reduce(f64::max)
    }

    /// After a step at this hour: seconds until utilisation, over the last minute, is again within
    /// `points` of where it settles. It settles on its mean from ten minutes after the step on, up to
    /// `until_h`; the way down is looked for in the first five. `None` without ten minutes to judge by.
    pub fn recovery_s(&self, at_h: f64, until_h: f64, points: f64) -> Option<u64> {
        const MINUTE: usize = 6;
        let (step, until) = (bin_of(at_h), bin_of(until_h).min(self.bins.len()));
        let settled_from = step + 10 * MINUTE;
        if until < settled_from + 10 * MINUTE {
            return None;
        }
        let settled = self.utilisation_pct(settled_from..until)?;
        let minute = |bin: usize| self.utilisation_pct((bin + 1 - MINUTE)..bin + 1);
        let lowest = (step + MINUTE..step + 5 * MINUTE)
            .filter_map(|bin| minute(bin).map(|pct| (bin, pct)))
            .min_by(|a, b| a.1.total_cmp(&b.1))?;
        if lowest.1 >= settled - points {
            return Some(0);
        }
        (lowest.0..until)
            .find(|bin| minute(*bin).is_some_and(|pct| pct >= settled - points))
            .map(|bin| (bin + 1 - step) as u64 * BIN_S)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Mono {
        Mono::from_micros((seconds * 1e6) as u64)
    }

    #[test]
    fn time_is_shared_among_the_steps_it_covers() {
        let mut curve = Curve::new(30_000_000);
        curve.agent(at(0.0), Doing::Away, Doing::Waiting);
        curve.agent(at(5.0), Doing::Waiting, Doing::Talking);
        curve.in_flight(at(5.0), 3);
        curve.agent(at(25.0), Doing::Talking, Doing::WrappingUp);
        curve.go_to(at(99.0));
        let us: Vec<(u64, u64, u64)> = curve
            .bins()
            .iter()
            .map(|bin| (bin.waiting_us, bin.talking_us, bin.wrapping_up_us))
            .collect();
        assert_eq!(
            us,
            [
                (5_000_000, 5_000_000, 0),
                (0, 10_000_000, 0),
                (0, 5_000_000, 5_000_000)
            ]
        );
        assert_eq!(curve.bins()[1].in_flight_us, 30_000_000);
        assert_eq!(curve.utilisation_pct(0..1), Some(50.0));
    }

    #[test]
    fn the_worst_five_minutes_need_twenty_answers() {
        let mut curve = Curve::new(3_600_000_000);
        for n in 0..19 {
            curve.live(at(f64::from(n)), true);
        }
        assert_eq!(curve.worst_five_minutes_pct(), None);
        curve.live(at(250.0), false);
        assert_eq!(curve.worst_five_minutes_pct(), Some(95.0));
        for _ in 0..20 {
            curve.live(at(1_000.0), false);
        }
        assert_eq!(curve.worst_five_minutes_pct(), Some(95.0));
        assert_eq!(curve.five_minutes_pct()[100], Some(0.0));
    }

    #[test]
    fn the_worst_after_a_step_looks_at_the_half_hour_after_it_alone() {
        let mut curve = Curve::new(2 * 3_600_000_000);
        let twenty = |curve: &mut Curve, from: f64, abandoned: u32| {
            for n in 0..20 {
                curve.live(at(from + f64::from(n)), n < abandoned);
            }
        };
        twenty(&mut curve, 3_500.0, 20);
        twenty(&mut curve, 3_700.0, 5);
        twenty(&mut curve, 6_000.0, 20);
        assert_eq!(curve.worst_five_minutes_between_pct(1.0, 1.5), Some(25.0));
        assert_eq!(curve.worst_five_minutes_between_pct(1.2, 1.5), None);
        assert_eq!(curve.worst_five_minutes_between_pct(5.0, 6.0), None);
    }

    #[test]
    fn recovery_is_the_time_until_utilisation_is_near_where_it_settles() {
        let mut curve = Curve::new(2 * 3_600_000_000);
        curve.agent(at(0.0), Doing::Away, Doing::Talking);
        // Idle for two minutes from the half hour on: the minute behind is whole again at 180 s.
        curve.agent(at(1_800.0), Doing::Talking, Doing::Waiting);
        curve.agent(at(1_920.0), Doing::Waiting, Doing::Talking);
        curve.go_to(at(7_200.0));
        assert_eq!(curve.recovery_s(0.5, 2.0, 2.0), Some(180));
        assert_eq!(curve.recovery_s(1.0, 2.0, 2.0), Some(0));
        assert_eq!(curve.recovery_s(1.8, 2.0, 2.0), None);
    }
}
