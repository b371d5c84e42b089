//! How long a caller will wait, as told to callers, and how good that was.
//!
//! The estimate is QLA of Ibrahim and Whitt: with `k` callers before this one, `s` agents of rate μ
//! and callers who leave at rate θ, the mean of Σ_{j=0..k} 1/(sμ + jθ). μ and θ are taken over the
//! last half hour, with priors that fade as calls are seen.

use model::Mono;
use serde::Serialize;
use std::collections::VecDeque;
use std::time::Duration;

/// Mean handling time assumed before any call was handled.
const HANDLING_PRIOR_S: f64 = 180.0;
/// Mean patience assumed before anybody left.
const PATIENCE_PRIOR_S: f64 = 300.0;
/// How many seen calls outweigh a prior. Ten: half an hour of a small queue.
const PRIOR_CALLS: f64 = 10.0;
/// How much is remembered, in minutes. A half hour is the interval every report uses.
const MINUTES: u64 = 30;
/// What is spoken is an upper bound: this much above the mean. Waits behind a queue of k calls vary
/// by about mean/√k, so half again is above most of them and not far off.
const MARGIN: f64 = 1.5;
/// Longest estimate spoken. Beyond this the number says nothing.
const SPOKEN_MAX: Duration = Duration::from_secs(3_600);

#[derive(Clone, Copy, Debug, Default)]
struct Minute {
    minute: u64,
    handled: f64,
    handling_s: f64,
    left: f64,
    waited_s: f64,
}

/// Rates of one queue over the last half hour.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rates {
    minutes: VecDeque<Minute>,
}

impl Rates {
    pub(crate) fn handled(&mut self, now: Mono, took: Duration) {
        let minute = self.minute(now);
        minute.handled += 1.0;
        minute.handling_s += took.as_secs_f64();
    }

    pub(crate) fn waited(&mut self, now: Mono, took: Duration, abandoned: bool) {
        let minute = self.minute(now);
        minute.left += f64::from(u8::from(abandoned));
        minute.waited_s += took.as_secs_f64();
    }

    fn minute(&mut self, now: Mono) -> &mut Minute {
        let minute = now.as_micros() / 60_000_000;
        if self.minutes.back().is_none_or(|last| last.minute < minute) {
            self.minutes.push_back(Minute {
                minute,
                ..Minute::default()
            });
        }
        while self
            .minutes
            .front()
            .is_some_and(|first| first.minute + MINUTES <= minute)
        {
            self.minutes.pop_front();
        }
        self.minutes.back_mut().expect("a minute was just there")
    }

    /// (μ, θ) per second.
    fn rates(&self, now: Mono) -> (f64, f64) {
        let oldest = (now.as_micros() / 60_000_000).saturating_sub(MINUTES - 1);
        let mut sum = Minute::default();
        for minute in self.minutes.iter().filter(|m| m.minute >= oldest) {
            sum.handled += minute.handled;
            sum.handling_s += minute.handling_s;
            sum.left += minute.left;
            sum.waited_s += minute.waited_s;
        }
        let mu = (sum.handled + PRIOR_CALLS) / (sum.handling_s + PRIOR_CALLS * HANDLING_PRIOR_S);
        let theta = (sum.left + PRIOR_CALLS) / (sum.waited_s + PRIOR_CALLS * PATIENCE_PRIOR_S);
        (mu, theta)
    }

    /// Mean wait with `before` calls ahead and `agents` at work (a part of one counts in part).
    pub(crate) fn mean_wait(&self, now: Mono, before: usize, agents: f64) -> Option<Duration> {
        let (mu, theta) = self.rates(now);
        (agents > 0.0).then(|| qla(before, agents * mu, theta))
    }
}

/// Σ_{j=0..k} 1/(service + jθ), in closed time: terms beyond an hour's sum cannot matter.
fn qla(before: usize, service: f64, theta: f64) -> Duration {
    let mut sum = 0.0;
    for j in 0..=before {
        sum += 1.0 / (service + j as f64 * theta);
        if sum > SPOKEN_MAX.as_secs_f64() {
            return SPOKEN_MAX;
        }
    }
    Duration::from_secs_f64(sum)
}

/// The upper bound spoken for a mean: rounded up to half minutes, and to minutes from three on.
pub(crate) fn spoken(mean: Duration) -> Duration {
    let upper = mean.as_secs_f64() * MARGIN;
    let step = if upper <= 180.0 { 30.0 } else { 60.0 };
    Duration::from_secs_f64(((upper / step).ceil().max(1.0) * step).min(SPOKEN_MAX.as_secs_f64()))
}

/// How good the estimates were, over every answered caller who was told one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct EstimateError {
    /// Callers told and answered.
    pub told: u64,
    /// Σ (estimated mean − waited) in s.
    pub error_sum_s: f64,
    /// Σ of its squares.
    pub error_squares_s2: f64,
    /// Callers who waited no longer than the bound they heard.
    pub covered: u64,
}

impl EstimateError {
    pub(crate) fn add(&mut self, mean: Duration, bound: Duration, waited: Duration) {
        let error = mean.as_secs_f64() - waited.as_secs_f64();
        self.told += 1;
        self.error_sum_s += error;
        self.error_squares_s2 += error * error;
        self.covered += u64::from(waited <= bound);
    }

    /// Mean error in s; positive: told too much.
    pub fn bias_s(&self) -> Option<f64> {
        (self.told > 0).then(|| self.error_sum_s / self.told as f64)
    }

    /// Root of the mean squared error in s.
    pub fn rmse_s(&self) -> Option<f64> {
        (self.told > 0).then(|| (self.error_squares_s2 / self.told as f64).sqrt())
    }

    /// Share of callers who waited no longer than they were told.
    pub fn coverage(&self) -> Option<f64> {
        (self.told > 0).then(|| self.covered as f64 / self.told as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_is_the_sum_over_callers_before() {
        // Two agents of 1/100 s, patience 50 s, two before: 1/.02 + 1/.04 + 1/.06.
        let want = 50.0 + 25.0 + 100.0 / 6.0;
        assert!((qla(2, 0.02, 0.02).as_secs_f64() - want).abs() < 1e-6);
        assert_eq!(Rates::default().mean_wait(Mono::ZERO, 0, 0.0), None);
        assert_eq!(qla(1_000_000, 1e-9, 0.0), SPOKEN_MAX);
    }

    #[test]
    fn seen_calls_outweigh_the_priors_and_are_forgotten_after_half_an_hour() {
        let mut rates = Rates::default();
        let at = |s: u64| Mono::from_micros(s * 1_000_000);
        for _ in 0..10_000 {
            rates.handled(at(0), Duration::from_secs(60));
        }
        let busy = rates.mean_wait(at(0), 0, 1.0).unwrap().as_secs_f64();
        assert!((busy - 60.0).abs() < 1.0, "{busy}");
        let later = rates.mean_wait(at(1_800), 0, 1.0).unwrap().as_secs_f64();
        assert!((later - HANDLING_PRIOR_S).abs() < 1.0, "{later}");
        rates.handled(at(4_000), Duration::from_secs(1));
        assert_eq!(rates.minutes.len(), 1);
    }

    #[test]
    fn what_is_spoken_is_round_and_above_the_mean() {
        let secs = Duration::from_secs;
        assert_eq!(spoken(secs(1)), secs(30));
        assert_eq!(spoken(secs(30)), secs(60));
        assert_eq!(spoken(secs(121)), secs(240));
        assert_eq!(spoken(secs(999_999)), SPOKEN_MAX);
    }

    #[test]
    fn errors_add_up_to_bias_and_coverage() {
        let mut error = EstimateError::default();
        assert_eq!(error.bias_s(), None);
        let secs = Duration::from_secs;
        error.add(secs(10), secs(30), secs(20));
        error.add(secs(40), secs(60), secs(70));
        assert_eq!(error.bias_s(), Some(-20.0));
        assert_eq!(error.rmse_s(), Some(500f64.sqrt()));
        assert_eq!(error.coverage(), Some(0.5));
    }
}
