//! Moves θ, the largest chance of being abandoned that a call may have, so that the abandonment
//! budget is spent evenly and never overspent.
//!
//! It is handed the budget that is left after every live answer. A slow integral finds the θ that
//! this campaign needs; a proportional part leans against bursts, gently: utilisation is concave in
//! θ, so every swing of θ costs.

use super::tune;

/// Before anything is known. It suits teams of any size to within a factor of 1.5.
const THETA_START: f64 = 0.035;
/// θ never leaves this range: below, it is progressive anyway; above, the guard would do the work.
const THETA_MIN: f64 = 0.001;
const THETA_MAX: f64 = 0.4;

/// The law's brake on pacing.
#[derive(Clone, Debug)]
pub struct Governor {
    log_steady: f64,
    theta: f64,
}

impl Default for Governor {
    fn default() -> Governor {
        Governor::from_theta(tune(0, THETA_START))
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
        let z = (left - 1.0 - tune(1, 2.0) * scale.powf(tune(7, 1.5))) / scale;
        let gain = tune(2, 0.1);
        let drift = tune(3, 1.5e-4) / scale;
        let short = ((1.0 + scale * tune(6, 1.0) - left) / scale).max(0.0);
        let pull = gain * z - tune(4, 2.0) * short * short;
        self.log_steady =
            (self.log_steady + drift * z.clamp(-4.0, 4.0)).clamp(THETA_MIN.ln(), THETA_MAX.ln());
        self.theta = (self.log_steady + pull.clamp(-4.0, 1.0))
            .exp()
            .clamp(THETA_MIN, THETA_MAX);
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
    (agents as f64 / 10.0).sqrt().max(tune(9, 0.6))
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
