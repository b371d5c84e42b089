//! The called customers, as the carrier lets them be reached: some answer, some are busy, the rest
//! ring until we give up. A machine answers faster and talks first.

use crate::happens::{Far, Happens};
use crate::world::World;
use call::Input;
use model::event::Verdict;
use model::{AttemptId, CallId, Cause, LegId};

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
        attempt: AttemptId,
        classify: bool,
    ) {
        let view = self.attempts.get(&attempt).copied();
        let mut far = Far::new(Some(call), None, true);
        far.classify = classify;
        far.attempt = Some(attempt);
        far.campaign = view.map(|view| view.campaign);
        let campaigns = &self.setting.config.dialer.campaigns;
        let config = view.and_then(|view| campaigns.get(&view.campaign));
        far.voice = config.is_some_and(|config| config.flow.is_some());
        self.far.insert(leg, far);
        self.customer_of_call.insert(call, leg);
        let carrier = &self.setting.carrier;
        let rate = view
            .and_then(|view| carrier.campaigns.get(&view.campaign))
            .and_then(|people| people.answer_rate.as_ref())
            .unwrap_or(&carrier.answer_rate)
            .at(self.now);
        let factor = view.map_or(1.0, |view| self.store.kinds.factor(view.lead, self.now));
        let fate = view.and_then(|view| {
            let attempts = self.store.attempts(view.lead);
            self.store.kinds.fate(view.lead, attempts)
        });
        let (ring, quick, rings_after) = (
            carrier.ring,
            carrier.quick_fail_share,
            carrier.rings_after_s,
        );
        let delay = carrier.answer_delay_s.at(self.now);
        let no_answer = carrier.no_answer;
        let rng = &mut self.carrier_rng;
        let (answers_in, fails_in) =
            if fate.map_or_else(|| rng.chance(rate * factor), |fate| fate < rate * factor) {
                (Some(ring.draw(rng) + delay), None)
            } else if let Some(no_answer) = no_answer {
                (None, Some((no_answer.draw(rng), Cause::Unreachable)))
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
        let carrier = &self.setting.carrier;
        let rng = &mut self.carrier_rng;
        let machine = carrier.machine_share > 0.0 && rng.chance(carrier.machine_share);
        far.machine = machine;
        let (epoch, classify, attempt) = (far.epoch, far.classify, far.attempt);
        // Whom the campaign connects or tells within its time never runs out of patience before,
        // and a machine is patience itself.
        let patience = carrier.patience_s.draw(rng);
        let verdict = classify.then(|| {
            let wrong = rng.chance(if machine {
                carrier.false_negative_share
            } else {
                carrier.false_positive_share
            });
            let verdict = if machine != wrong {
                Verdict::Machine
            } else {
                Verdict::Person
            };
            (carrier.verdict.draw(rng), verdict)
        });
        if let Some(view) = attempt.and_then(|attempt| self.attempts.get_mut(&attempt)) {
            view.machine = machine;
        }
        self.say(leg, Input::LegAnswered { leg });
        if !machine && (patience < 2.0 || !self.perfect) {
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
            self.say(
                leg,
                Input::LegClassified {
                    leg,
                    verdict,
                    evidence: None,
                },
            );
        }
    }
}
