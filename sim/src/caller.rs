//! Customers on the line, who called or were called: what they hear, press and do with the patience
//! they have left, at the most awkward moments too.

use crate::happens::{Far, Happens};
use crate::world::World;
use call::Input;
use call::input::Origin;
use model::{CallId, Cause, LegId, PlayId};

/// Keys in the order of how often people press them, the meaningless ones too.
const KEYS: &[u8] = b"1121129930#*47";
/// An awkward hang-up comes so many seconds after its occasion, at most.
const AWKWARD_S: f64 = 0.3;

impl World {
    /// Plans the next customer who calls.
    pub(crate) fn plan_caller(&mut self) {
        if let Some(callers) = &self.setting.callers
            && !self.shift_over
        {
            let wait = self.caller_rng.exponential(3_600.0 / callers.per_hour);
            self.later_s(wait, Happens::CallerArrives);
        }
    }

    pub(crate) fn caller_arrives(&mut self) {
        self.plan_caller();
        let Some(callers) = &self.setting.callers else {
            return;
        };
        if self.shift_over || !self.alive {
            return;
        }
        let (called, patience) = (callers.called.clone(), callers.patience_s);
        let leg = self.mint_arrived();
        self.far.insert(leg, Far::new(None, None, false));
        let trunk = self
            .setting
            .config
            .dialer
            .trunks
            .keys()
            .next()
            .copied()
            .expect("a world has a carrier");
        let caller = format!("+4917{:08}", self.caller_rng.below(100_000_000));
        let wait = patience.draw(&mut self.caller_rng);
        self.say(
            leg,
            Input::LegArrived {
                leg,
                from: Origin::Trunk(trunk),
                caller,
                caller_name: None,
                called,
            },
        );
        self.later_s(wait, Happens::CustomerHangsUp(leg, 0));
    }

    pub(crate) fn customer_hangs_up(&mut self, leg: LegId, epoch: u32) {
        if self.far.get(&leg).is_some_and(|far| far.epoch == epoch) {
            self.say(
                leg,
                Input::LegEnded {
                    leg,
                    cause: Cause::Normal,
                },
            );
            self.far.remove(&leg);
        }
    }

    /// A prompt or music begins on a leg.
    pub(crate) fn hears(&mut self, leg: LegId, play: PlayId, pieces: usize, repeat: bool) {
        let Some(far) = self.far.get_mut(&leg) else {
            return;
        };
        far.playing = Some(play);
        if far.outbound && !repeat {
            // Whoever is told that nobody is there listens to it.
            far.epoch += 1;
        }
        if repeat {
            return;
        }
        let voice = std::mem::take(&mut far.voice);
        let (epoch, machine) = (far.epoch, far.machine);
        let lasts = if voice {
            self.hears_voice(leg, epoch, machine)
        } else {
            self.setting.people.prompt_s * pieces.max(1) as f64
        };
        self.later_s(lasts, Happens::PromptEnds(leg, play));
        let digits = self
            .setting
            .callers
            .as_ref()
            .map_or(0.0, |callers| callers.digit_chance);
        if digits > 0.0 && self.caller_rng.chance(digits) {
            let key = KEYS[self.caller_rng.below(KEYS.len() as u64) as usize] as char;
            let wait = if digits >= 1.0 {
                0.0
            } else {
                self.caller_rng.unit() * (lasts + 2.0)
            };
            self.later_s(wait, Happens::PressesDigit(leg, key));
        }
    }

    /// Somebody's phone rings or was picked up for this call: just the moment to hang up.
    pub(crate) fn awkward_moment(&mut self, call: CallId) {
        let awkward = self
            .setting
            .callers
            .as_ref()
            .map_or(0.0, |callers| callers.awkward);
        if awkward > 0.0 && self.caller_rng.chance(awkward) {
            let wait = self.caller_rng.unit() * AWKWARD_S * self.caller_rng.below(2) as f64;
            if let Some(&leg) = self.customer_of_call.get(&call)
                && let Some(far) = self.far.get(&leg)
            {
                let epoch = far.epoch;
                self.later_s(wait, Happens::CustomerHangsUp(leg, epoch));
            }
        }
    }
}
