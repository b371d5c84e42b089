//! The called customers, as the carrier lets them be reached: some answer, some are busy, the rest
//! ring until we give up. A machine answers faster and talks first.

use crate::happens::{Far, Happens};
use crate::world::World;
use call::Input;
use model::event::Verdict;
use model::{CallId, Cause, LegId, PhoneNumber};

/// A person, or a machine, is known after so many seconds of listening, on average.
const VERDICT_MEAN_S: f64 = 0.5;
/// Why calls fail quickly, evenly.
const QUICK_CAUSES: [Cause; 4] = [
    Cause::Busy,
    Cause::Busy,
    Cause::Congestion,
    Cause::Unallocated,
];

impl World {
    pub(crate) fn carrier_dials(
        &mut self,
        leg: LegId,
        call: CallId,
        _number: PhoneNumber,
        classify: bool,
    ) {
        let mut far = Far::new(Some(call), None, true);
        far.classify = classify;
        self.far.insert(leg, far);
        self.customer_of_call.insert(call, leg);
        let carrier = &self.setting.carrier;
        let rate = carrier.answer_rate.at(self.now);
        let (ring, quick, rings_after) = (
            carrier.ring,
            carrier.quick_fail_share,
            carrier.rings_after_s,
        );
        let rng = &mut self.carrier_rng;
        let (answers_in, fails_in) = if rng.chance(rate) {
            (Some(ring.draw(rng)), None)
        } else if rng.chance(quick) {
            (
                None,
                Some((3.0 + 3.0 * rng.unit(), QUICK_CAUSES[rng.below(4) as usize])),
            )
        } else {
            (None, None)
        };
        if let Some(after) = rings_after {
            self.later_s(after, Happens::CarrierRings(leg));
        }
        if let Some(after) = answers_in {
            self.later_s(after, Happens::CarrierAnswers(leg));
        }
        if let Some((after, cause)) = fails_in {
            self.later_s(after, Happens::CarrierFails(leg, cause));
        }
    }

    pub(crate) fn carrier_rings(&mut self, leg: LegId) {
        if self.far.get(&leg).is_some_and(|far| !far.up) {
            self.say(leg, Input::LegRinging { leg });
        }
    }

    pub(crate) fn carrier_answers(&mut self, leg: LegId) {
        let Some(far) = self.far.get_mut(&leg) else {
            return;
        };
        far.up = true;
        let (epoch, classify) = (far.epoch, far.classify);
        self.say(leg, Input::LegAnswered { leg });
        let patience = self.setting.carrier.patience_s;
        let machine = self.setting.carrier.machine_share;
        let rng = &mut self.carrier_rng;
        // Whom the campaign connects or tells within its time never runs out of patience before.
        let patience = patience.draw(rng);
        let verdict = classify.then(|| {
            let verdict = if rng.chance(machine) {
                Verdict::Machine
            } else {
                Verdict::Person
            };
            (rng.exponential(VERDICT_MEAN_S), verdict)
        });
        if patience < 2.0 || !self.perfect {
            self.later_s(patience, Happens::CustomerHangsUp(leg, epoch));
        }
        if let Some((after, verdict)) = verdict {
            self.later_s(after, Happens::CarrierClassifies(leg, verdict));
        }
    }

    pub(crate) fn carrier_fails(&mut self, leg: LegId, cause: Cause) {
        if self.far.contains_key(&leg) {
            self.say(leg, Input::LegFailed { leg, cause });
            self.far.remove(&leg);
        }
    }

    pub(crate) fn carrier_classifies(&mut self, leg: LegId, verdict: Verdict) {
        if self.far.contains_key(&leg) {
            self.say(leg, Input::LegClassified { leg, verdict });
        }
    }
}
