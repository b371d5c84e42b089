//! Moves θ, the largest chance of being abandoned that a call may have, so that the abandonment
//! budget is spent evenly and never overspent.
//!
//! It is handed the budget that is left after every live answer. A slow integral finds the θ that
//! this campaign needs; beside it θ goes with what is left, down to almost nothing where nothing is:
//! utilisation is concave in θ, so every swing of θ costs, and standing still costs most.

/// Before anything is known, where a tenth of the dials is answered. Measured: with it fixed, teams of 5
/// and of 10 abandon 2.9 %.
const THETA_START: f64 = 0.036;
/// That share.
const SHARE_START: f64 = 0.1;
/// How much of log θ a higher share adds, per unit of it and agent: where more are answered fewer calls
/// ring at once, and of a call's chance of being abandoned less comes true. Measured at 5 and 10 agents.
const SHARE_LIFT: f64 = 8.0;
/// θ never leaves this range: below, it is progressive anyway; above, the guard would do the work.
const THETA_MIN: f64 = 0.001;
const THETA_MAX: f64 = 0.4;
/// Abandonments kept in hand beside the next one, at 10 agents: with 1.5 of them 5 % of the shifts end
/// over the limit.
const RESERVE: f64 = 2.5;
/// Small teams keep so many more, whose shifts end within one abandonment of the limit: all of it where one
/// comes at a time, nothing where two do (40 agents). Measured with 10 agents in four worlds that change:
/// 5 of 384 shifts over the limit instead of 18, and 0.02 points less utilisation; in three that do not 0
/// of 288 instead of 4. Five agents need a quarter of it: the whole costs them 0.2 points and spares none.
const RESERVE_SMALL: f64 = 0.8;
/// Large teams keep more bursts: theirs come closer together.
const RESERVE_GROWTH: f64 = 1.2;
/// So far below nothing left θ would be nothing, at 10 agents.
const EDGE: f64 = 1.5;
/// θ goes with the budget left, counted from the edge, to this power. What constrained control of the
/// measured curves of utilisation against θ would choose is close to 1; a steadier θ wastes less. Measured: 0.5
/// gives 0.05 points more than 0.9 with 5 and 10 agents, and 3 % of the shifts over the limit instead of 1 %.
const PULL: f64 = 0.7;
/// The most that unused budget adds to log θ at once.
const PULL_MAX: f64 = 1.0;
/// How much of log θ one answer moves for good, per burst more or less in hand: damped together with
/// [`PULL`], for ten times as much swings θ by a factor of 7 at 500 agents.
const DRIFT: f64 = 1.5e-4;
/// How hard θ of large teams falls when less than a burst is left: their bursts come faster than θ can
/// follow. A small team that still dials by risk earns answers faster than one that stands still.
const BRAKE: f64 = 1.0;

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
    /// legal. `agents` are those signed in, who set how large a burst of abandonments may be;
    /// `share` is the share of dials that is answered.
    pub fn answered(&mut self, left: f64, agents: usize, share: f64) {
        let scale = burst(agents);
        let room = scale.powf(RESERVE_GROWTH);
        let (reserve, edge) = (kept(agents), EDGE * room);
        let drift = DRIFT / scale * below_ten(agents).powf(1.5);
        self.log_steady = (self.log_steady + drift * ((left - reserve) / scale).clamp(-4.0, 4.0))
            .clamp(THETA_MIN.ln(), THETA_MAX.ln());
        let full = ((left + edge) / (reserve + edge)).max(THETA_MIN);
        let short = ((1.0 + scale - left) / scale).max(0.0);
        let brake = BRAKE * (scale - 1.0).min(1.0) * short * short;
        let pull = (PULL * full.ln() - brake).clamp(-4.0, PULL_MAX);
        let lift = SHARE_LIFT * (share - SHARE_START) / agents.max(1) as f64;
        self.theta = (self.log_steady + pull + lift)
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

/// Abandonments in hand at which θ is what the campaign needs, the next one among them.
fn kept(agents: usize) -> f64 {
    let scale = burst(agents);
    let more = RESERVE_SMALL * (2.0 - scale).max(0.0) * below_ten(agents).powi(2);
    1.0 + RESERVE * scale.powf(RESERVE_GROWTH) + more
}

/// A team of fewer than ten, as a part of ten.
fn below_ten(agents: usize) -> f64 {
    (agents as f64 / 10.0).min(1.0)
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
        (0..50).for_each(|_| governor.answered(-3.0, 10, 0.2));
        assert!(governor.theta() < THETA_START / 2.0);
        (0..1_000).for_each(|_| governor.answered(8.0, 10, 0.2));
        assert!(governor.theta() > THETA_START);
    }

    /// θ after one answer that leaves so much.
    fn theta(left: f64, agents: usize, share: f64) -> f64 {
        let mut governor = Governor::default();
        governor.answered(left, agents, share);
        governor.theta()
    }

    #[test]
    fn theta_goes_with_what_is_left_and_large_teams_brake_harder() {
        assert!((theta(kept(10), 10, SHARE_START) / THETA_START - 1.0).abs() < 1e-3);
        // A small team goes on dialling by risk when nothing is left, by much less.
        let spent = theta(0.0, 10, SHARE_START) / THETA_START;
        assert!((0.2..0.5).contains(&spent), "{spent}");
        assert!(theta(0.0, 100, SHARE_START) < 0.3 * theta(0.0, 10, SHARE_START));
        assert_eq!(theta(-3.0, 10, SHARE_START), THETA_MIN);
    }

    #[test]
    fn small_teams_keep_a_little_more_in_hand_and_large_ones_their_bursts() {
        assert!((kept(10) - 4.3).abs() < 1e-9 && (kept(5) - 3.7).abs() < 1e-9);
        let of_bursts = |agents| (kept(agents) - 1.0) / burst(agents).powf(RESERVE_GROWTH);
        assert!(of_bursts(25) > RESERVE && of_bursts(10) > of_bursts(25));
        assert!((of_bursts(40) - RESERVE).abs() < 1e-9 && (of_bursts(500) - RESERVE).abs() < 1e-9);
    }

    #[test]
    fn theta_is_higher_where_more_dials_are_answered_and_most_for_small_teams() {
        let lift = |agents| theta(3.0, agents, 0.5) / theta(3.0, agents, 0.1);
        assert!(lift(5) > lift(10) && lift(10) > lift(100) && lift(100) > 1.0);
    }
}
