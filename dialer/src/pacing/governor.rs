//! Moves θ, the largest chance of being abandoned that a call may have, so that the abandonment
//! budget is spent evenly and never overspent.
//!
//! It is handed the budget that is left after every live answer. A slow integral finds the θ that
//! this campaign needs; a proportional part leans against bursts, gently: utilisation is concave in
//! θ, so every swing of θ costs.

/// Before anything is known. It suits teams of any size to within a factor of 1.5.
const THETA_START: f64 = 0.035;
/// θ never leaves this range: below, it is progressive anyway; above, the guard would do the work.
const THETA_MIN: f64 = 0.001;
const THETA_MAX: f64 = 0.4;
/// Bursts of abandonments kept in hand: with fewer the brake is on often, and it costs more than the
/// unused budget.
const RESERVE: f64 = 2.4;
/// Large teams keep more bursts: theirs come closer together.
const RESERVE_GROWTH: f64 = 1.5;
/// How much of log θ one burst more or less in hand moves at once. Measured: 0.2 costs half a point at
/// 5 agents, 0.05 leaves budget unused.
const GAIN: f64 = 0.08;
/// How much of log θ one answer moves for good, per burst more or less in hand: damped together with
/// [`GAIN`], for ten times as much swings θ by a factor of 7 at 500 agents.
const DRIFT: f64 = 1.5e-4;
/// How hard θ falls when less than a burst is left.
const BRAKE: f64 = 2.0;

/// The law's brake on pacing.
#[derive(Clone, Debug)]
pub struct Governor {
    log_steady: f64,
    theta: f64,
}

impl Default for Governor {
    fn default() -> Governor {
        Governor::from_theta(THETA_START)
    }
}

impl Governor {
    /// Begins with a θ that is known from another shift.
    pub fn from_theta(theta: f64) -> Governor {
        let theta = theta.clamp(THETA_MIN, THETA_MAX);
        Governor {
            log_steady: theta.ln(),
            theta,
        }
    }

    /// A live person was answered; `left` is the budget since: abandonments that would still be
    /// legal. `agents` are those signed in, who set how large a burst of abandonments may be.
    pub fn answered(&mut self, left: f64, agents: usize) {
        let scale = burst(agents);
        let spare = (left - 1.0 - RESERVE * scale.powf(RESERVE_GROWTH)) / scale;
        let short = ((1.0 + scale - left) / scale).max(0.0);
        let small = (agents as f64 / 10.0).min(1.0);
        let drift = DRIFT / scale * small.powf(1.5);
        self.log_steady = (self.log_steady + drift * spare.clamp(-4.0, 4.0))
            .clamp(THETA_MIN.ln(), THETA_MAX.ln());
        let pull = (GAIN * spare - BRAKE * short * short).clamp(-4.0, 1.0);
        self.theta = (self.log_steady + pull).exp().clamp(THETA_MIN, THETA_MAX);
    }

    /// The largest chance of being abandoned that the next call may have.
    pub fn theta(&self) -> f64 {
        self.theta
    }

    /// θ without what the budget adds or takes at the moment.
    pub fn steady(&self) -> f64 {
        self.log_steady.exp()
    }
}

/// How many abandonments come at once when they come, roughly.
pub fn burst(agents: usize) -> f64 {
    (agents as f64 / 10.0).sqrt().max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn theta_falls_when_the_budget_is_overspent_and_rises_when_it_is_not_used() {
        let mut governor = Governor::default();
        (0..50).for_each(|_| governor.answered(-3.0, 10));
        assert!(governor.theta() < THETA_START / 2.0);
        (0..1_000).for_each(|_| governor.answered(8.0, 10));
        assert!(governor.theta() > THETA_START);
    }
}
