//! The called customers, as the carrier lets them be reached: some answer, some are busy, the rest
//! ring until we give up. A machine answers faster and talks first.

use crate::happens::{Far, Happens};
use crate::scenario::Spread;
use crate::world::World;
use call::Input;
use model::event::Verdict;
use model::{AttemptId, CallId, Cause, LegId, Rng};

/// Whoever speaks begins so long after the answer.
const SPEAKS_AFTER_MS: u32 = 400;
/// A pause is known to be one so much later.
const PAUSE_KNOWN_AFTER_MS: u32 = 150;

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
        if carrier.unheard_share > 0.0 && rng.chance(carrier.unheard_share) {
            return self.answers_in_vain(leg);
        }
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
        let greeted_s = match self.setting.carrier.greeting.filter(|_| classify) {
            Some(lasts) => self.greets(leg, lasts, machine),
            None => 0.0,
        };
        if !machine && (patience < 2.0 || !self.perfect) {
            self.later_s(greeted_s + patience, Happens::CustomerHangsUp(leg, epoch));
        }
        if let Some((after, verdict)) = verdict {
            self.later_s(after, Happens::CarrierClassifies(leg, verdict));
        }
    }

    /// Plans what is heard of a greeting; gives when it is over, in seconds after the answer. A machine
    /// speaks on for longer than anybody listens.
    fn greets(&mut self, leg: LegId, lasts: Spread, machine: bool) -> f64 {
        // Of its own: what else happens is the same with a greeting and without.
        let mut rng = Rng::new(self.seed ^ leg.0.rotate_left(32));
        let begins_s = f64::from(SPEAKS_AFTER_MS) / 1_000.0;
        self.later_s(begins_s, Happens::CarrierSpeaks(leg, None));
        let ends_s = begins_s + lasts.draw(&mut rng);
        if !machine {
            let ended_ms = (ends_s * 1_000.0) as u32;
            let known_s = f64::from(ended_ms + PAUSE_KNOWN_AFTER_MS) / 1_000.0;
            self.later_s(known_s, Happens::CarrierSpeaks(leg, Some(ended_ms)));
        }
        ends_s
    }

    pub(crate) fn carrier_speaks(&mut self, leg: LegId, ended_ms: Option<u32>) {
        if self.far.contains_key(&leg) {
            let began_ms = Some(SPEAKS_AFTER_MS);
            self.say(
                leg,
                Input::GreetingHeard {
                    leg,
                    began_ms,
                    ended_ms,
                },
            );
        }
    }

    /// The answer has media that cannot be used: our own end says so, and that is never lost.
    fn answers_in_vain(&mut self, leg: LegId) {
        self.far.remove(&leg);
        let cause = Cause::MediaUnsupported;
        let ended = Box::new(Input::LegEnded { leg, cause });
        let delay = self.network.delay();
        self.later(delay, Happens::Tell(ended));
    }

    /// We give the call up. Who has answered by now was faster.
    pub(crate) fn carrier_cancels(&mut self, leg: LegId, cause: Cause) {
        if self.far.get(&leg).is_none_or(|far| far.up) {
            return;
        }
        let delay_s = self.setting.carrier.cancel_delay_s;
        let late = self.setting.carrier.late_answer_share;
        if delay_s > 0.0 {
            self.later_s(delay_s, Happens::CarrierFails(leg, cause));
        } else if late > 0.0 && self.carrier_rng.chance(late) {
            self.carrier_answers(leg);
        } else {
            self.carrier_fails(leg, cause);
        }
    }

    pub(crate) fn carrier_fails(&mut self, leg: LegId, cause: Cause) {
        if self.far.get(&leg).is_some_and(|far| !far.up) {
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
