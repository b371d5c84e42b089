//! How long things take: a distribution, as a person writes it. `talk = { mean_s = 150, cv = 1.0 }`
//! is lognormal; `shape` names another.

use model::Rng;
use serde::{Deserialize, Serialize};

/// Most phases of an Erlang time: beyond, it is as good as fixed.
pub const ERLANG_K_MAX: u32 = 1_000;

/// The form of a distribution of times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Lognormal with `mean_s` and `cv`; with a `cv` of 0 always the mean.
    #[default]
    Lognormal,
    /// Exponential with `mean_s`: the past says nothing about the rest.
    Exponential,
    /// The sum of `k` exponential times, with `mean_s` in all.
    Erlang,
    /// Always `mean_s`.
    Fixed,
}

/// A length of time, cut to `[min_s, max_s]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// Mean in seconds, before the cut.
    pub mean_s: f64,
    /// Coefficient of variation of a lognormal time; 0: always the mean.
    #[serde(default)]
    pub cv: f64,
    /// The form.
    #[serde(default)]
    pub shape: Shape,
    /// Phases of an Erlang time.
    #[serde(default = "one")]
    pub k: u32,
    /// Not less.
    #[serde(default)]
    pub min_s: f64,
    /// Not more.
    #[serde(default = "unbounded")]
    pub max_s: f64,
}

fn one() -> u32 {
    1
}
fn unbounded() -> f64 {
    f64::INFINITY
}

impl Spread {
    /// Always this.
    pub const fn fixed(mean_s: f64) -> Spread {
        Spread {
            mean_s,
            cv: 0.0,
            shape: Shape::Fixed,
            k: 1,
            min_s: 0.0,
            max_s: f64::INFINITY,
        }
    }

    /// Lognormal, uncut.
    pub const fn lognormal(mean_s: f64, cv: f64) -> Spread {
        Spread {
            cv,
            shape: Shape::Lognormal,
            ..Spread::fixed(mean_s)
        }
    }

    /// Exponential, uncut.
    pub const fn exponential(mean_s: f64) -> Spread {
        Spread {
            shape: Shape::Exponential,
            ..Spread::fixed(mean_s)
        }
    }

    /// The sum of `k` exponential times, uncut.
    pub const fn erlang(mean_s: f64, k: u32) -> Spread {
        Spread {
            shape: Shape::Erlang,
            k,
            ..Spread::fixed(mean_s)
        }
    }

    /// The same, cut to these seconds.
    pub const fn within(self, min_s: f64, max_s: f64) -> Spread {
        Spread {
            min_s,
            max_s,
            ..self
        }
    }

    /// One length of time, in seconds.
    pub fn draw(&self, rng: &mut Rng) -> f64 {
        let drawn = match self.shape {
            Shape::Lognormal if self.cv > 0.0 => rng.log_normal(self.mean_s, self.cv),
            Shape::Lognormal | Shape::Fixed => self.mean_s,
            Shape::Exponential => rng.exponential(self.mean_s),
            Shape::Erlang => {
                let phase = self.mean_s / f64::from(self.k);
                (0..self.k).map(|_| rng.exponential(phase)).sum()
            }
        };
        drawn.clamp(self.min_s, self.max_s)
    }

    /// What is wrong with it, and what would be right.
    pub(crate) fn problem(&self) -> Option<(&'static str, &'static str)> {
        if !(self.mean_s > 0.0 && self.mean_s < 1e6) {
            Some((
                "mean_s is not a length of time",
                "use seconds above 0 and below a million",
            ))
        } else if !(0.0..=10.0).contains(&self.cv) {
            Some((
                "cv is not from 0 to 10",
                "talk usually has a cv of about 1.0",
            ))
        } else if self.cv > 0.0 && self.shape != Shape::Lognormal {
            Some((
                "only a lognormal time has a cv",
                "take the cv away, or the shape",
            ))
        } else if !(1..=ERLANG_K_MAX).contains(&self.k) {
            Some(("k is not from 1 to 1000", "use the number of phases"))
        } else if self.k > 1 && self.shape != Shape::Erlang {
            Some((
                "only an Erlang time has phases",
                "add shape = \"erlang\", or take k away",
            ))
        } else if !(self.min_s >= 0.0 && self.max_s >= self.min_s) {
            Some((
                "min_s and max_s are no range",
                "use a min_s from 0 and a max_s no smaller",
            ))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean and coefficient of variation of many draws.
    fn moments(spread: Spread) -> (f64, f64) {
        let mut rng = Rng::new(5);
        let n = 100_000;
        let draws: Vec<f64> = (0..n).map(|_| spread.draw(&mut rng)).collect();
        let mean = draws.iter().sum::<f64>() / f64::from(n);
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / f64::from(n);
        (mean, variance.sqrt() / mean)
    }

    #[test]
    fn every_shape_has_the_mean_and_the_spread_it_says() {
        for (spread, cv) in [
            (Spread::lognormal(20.0, 0.7), 0.7),
            (Spread::exponential(20.0), 1.0),
            (Spread::erlang(20.0, 4), 0.5),
            (Spread::fixed(20.0), 0.0),
        ] {
            let (mean, found) = moments(spread);
            assert!((mean - 20.0).abs() < 0.3, "{spread:?}: mean {mean}");
            assert!((found - cv).abs() < 0.02, "{spread:?}: cv {found}");
        }
    }

    #[test]
    fn a_time_stays_within_its_cut() {
        let spread = Spread::exponential(10.0).within(5.0, 12.0);
        let mut rng = Rng::new(1);
        assert!((0..1_000).all(|_| (5.0..=12.0).contains(&spread.draw(&mut rng))));
    }

    #[test]
    fn what_does_not_belong_to_a_shape_is_a_problem() {
        assert_eq!(Spread::exponential(10.0).problem(), None);
        let both = Spread {
            cv: 0.5,
            ..Spread::exponential(10.0)
        };
        assert_eq!(both.problem().unwrap().0, "only a lognormal time has a cv");
        assert!(Spread::fixed(0.0).problem().is_some());
        assert!(Spread::erlang(10.0, 0).problem().is_some());
        assert!(Spread::fixed(1.0).within(3.0, 2.0).problem().is_some());
    }
}
