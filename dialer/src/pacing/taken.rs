//! How often the agents of a campaign are taken by calls that the dialer did not place: customers
//! who call, and calls by hand of others. They come whether a campaign dials or not.

/// What is older counts for less than a third.
const MEMORY_S: f64 = 900.0;
/// At the start nobody is believed to come for so long.
const PRIOR_S: f64 = 60.0;
/// Fewer than one in three hours are none.
const PER_SECOND_MIN: f64 = 1e-4;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    calls: f64,
    seconds: f64,
    at_s: f64,
}

impl Taken {
    /// An agent begins to talk, with whomever.
    pub fn talks(&mut self, now_s: f64) {
        self.roll(now_s);
        self.calls += 1.0;
    }

    /// The agent who began to talk talks with somebody the dialer called.
    pub fn was_ours(&mut self, now_s: f64) {
        self.roll(now_s);
        self.calls -= 1.0;
    }

    /// Agents taken per second, of late.
    pub fn per_second(&mut self, now_s: f64) -> f64 {
        self.roll(now_s);
        let rate = self.calls.max(0.0) / (self.seconds + PRIOR_S);
        if rate < PER_SECOND_MIN { 0.0 } else { rate }
    }

    fn roll(&mut self, now_s: f64) {
        let kept = (-(now_s - self.at_s).max(0.0) / MEMORY_S).exp();
        self.at_s = self.at_s.max(now_s);
        self.calls *= kept;
        self.seconds = self.seconds * kept + MEMORY_S * (1.0 - kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_the_dialer_are_not_taken_agents() {
        let mut taken = Taken::default();
        for minute in 0..600 {
            taken.talks(f64::from(minute) * 60.0);
            taken.was_ours(f64::from(minute) * 60.0 + 0.01);
        }
        assert_eq!(taken.per_second(36_000.0), 0.0);
    }

    #[test]
    fn the_rate_of_the_last_quarter_of_an_hour_is_seen() {
        let mut taken = Taken::default();
        (0..100).for_each(|n| taken.talks(f64::from(n) * 30.0));
        let rate = taken.per_second(3_000.0);
        assert!((0.030..0.036).contains(&rate), "{rate}");
        assert!(taken.per_second(3_000.0 + 2.0 * MEMORY_S) < 0.2 * rate);
    }
}
