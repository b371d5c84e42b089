//! The fold: events of a call come in, in order, and its record goes out once all of it is over.

use super::{CallOutcome, Cdr, CdrLeg, CdrRecording, CdrVisit, IVR_PATH_MAX};
use crate::event::{FlowEnd, Role};
use crate::screen_pop::Direction;
use crate::{
    AttemptId, AttemptOutcome, CallId, Cause, Event, Fact, LegId, Mono, Now, QueueOutcome,
    RecordingId,
};
use std::collections::BTreeMap;

/// A call that is not over yet, beside its growing record.
#[derive(Clone, Debug)]
struct Open {
    cdr: Cdr,
    began: Mono,
    over: bool,
    given: bool,
    legs_live: u32,
    recordings_open: u32,
    attempt_outcome: Option<AttemptOutcome>,
    flow_end: Option<FlowEnd>,
    in_flow: Option<Mono>,
    talking: Option<Mono>,
    held: Option<Mono>,
}

impl Open {
    fn new(cdr: Cdr, began: Mono) -> Open {
        Open {
            cdr,
            began,
            over: false,
            given: false,
            legs_live: 0,
            recordings_open: 0,
            attempt_outcome: None,
            flow_end: None,
            in_flow: None,
            talking: None,
            held: None,
        }
    }

    fn leg(&mut self, leg: LegId) -> Option<&mut CdrLeg> {
        self.cdr.legs.iter_mut().find(|l| l.leg == leg)
    }

    fn resume(&mut self, now: Now) {
        if let Some(since) = self.held.take() {
            self.cdr.hold_us += micros(now, since);
            self.talking = Some(now.mono);
        }
    }

    fn part(&mut self, now: Now) {
        if let Some(since) = self.held.take() {
            self.cdr.hold_us += micros(now, since);
        }
        if let Some(since) = self.talking.take() {
            self.cdr.talk_us += micros(now, since);
        }
    }

    fn end(&mut self, now: Now) {
        self.over = true;
        self.part(now);
        if let Some(since) = self.in_flow.take() {
            self.cdr.ivr_us += micros(now, since);
        }
        self.cdr.ended = now.utc;
        self.cdr.duration_us = micros(now, self.began);
        if self.cdr.answered.is_none() {
            self.cdr.ring_us = self.cdr.duration_us;
        }
    }

    fn is_complete(&self) -> bool {
        let attempt_over = self.cdr.attempt.is_none() || self.attempt_outcome.is_some();
        self.over && self.legs_live == 0 && attempt_over
    }

    fn outcome(&self) -> CallOutcome {
        let visit = self.cdr.visits.iter().rev().find_map(|v| v.outcome);
        match (self.attempt_outcome, visit, self.flow_end) {
            (Some(outcome), _, _) => CallOutcome::Attempt(outcome),
            (None, Some(outcome), _) => CallOutcome::Visit(outcome),
            (None, None, Some(end)) => CallOutcome::Flow(end),
            (None, None, None) => CallOutcome::Unhandled,
        }
    }
}

fn micros(now: Now, since: Mono) -> u64 {
    now.mono.as_micros().saturating_sub(since.as_micros())
}

/// Folds events into records.
///
/// ```
/// let fold = model::cdr::CdrFold::new();
/// assert_eq!(fold.open_calls(), 0);
/// ```
#[derive(Clone, Debug, Default)]
pub struct CdrFold {
    calls: BTreeMap<CallId, Open>,
    /// Attempts of calls in `calls`.
    attempts: BTreeMap<AttemptId, CallId>,
    /// Legs that were told of before their call, with the instant they began.
    early_legs: BTreeMap<CallId, Vec<(LegId, Role, Now)>>,
}

impl CdrFold {
    /// A fold that has seen nothing.
    pub fn new() -> CdrFold {
        CdrFold::default()
    }

    /// Calls whose record is not given yet.
    pub fn open_calls(&self) -> usize {
        self.calls.values().filter(|open| !open.given).count()
    }

    /// Takes the next event; gives a record where one is complete now.
    pub fn apply(&mut self, event: &Event) -> Option<Cdr> {
        let now = event.at;
        match &event.fact {
            Fact::CallAttested { call, attestation } => {
                self.update(*call, |open| open.cdr.attestation = Some(*attestation))
            }
            Fact::CallArrived {
                call,
                trunk,
                caller,
                called,
                ..
            } => {
                let cdr = Cdr::begun(
                    *call,
                    Direction::Inbound,
                    caller.clone(),
                    called.clone(),
                    Some(*trunk),
                    now.utc,
                );
                self.begin(cdr, now);
                None
            }
            Fact::CallDialled {
                call,
                trunk,
                campaign,
                attempt,
                lead,
                number,
                caller_id,
                ..
            } => {
                let mut cdr = Cdr::begun(
                    *call,
                    Direction::Outbound,
                    number.to_string(),
                    caller_id.clone(),
                    Some(*trunk),
                    now.utc,
                );
                cdr.campaign = Some(*campaign);
                cdr.attempt = Some(*attempt);
                cdr.lead = Some(*lead);
                self.attempts.insert(*attempt, *call);
                self.begin(cdr, now);
                None
            }
            Fact::CallClassified {
                call,
                verdict,
                tone,
                ..
            } => self.update(*call, |open| {
                open.cdr.verdict = Some(*verdict);
                open.cdr.tone = tone.or(open.cdr.tone);
            }),
            Fact::CallBridged { call, agent, .. } => self.update(*call, |open| {
                open.cdr.bridged.get_or_insert(now.utc);
                if !open.cdr.agents.contains(agent) {
                    open.cdr.agents.push(*agent);
                }
                open.part(now);
                open.talking = Some(now.mono);
            }),
            Fact::CallHeld { call, .. } => self.update(*call, |open| {
                if let Some(since) = open.talking.take() {
                    open.cdr.talk_us += micros(now, since);
                    open.held = Some(now.mono);
                }
            }),
            Fact::CallResumed { call, .. } => self.update(*call, |open| open.resume(now)),
            Fact::CallUnbridged { call, .. } => self.update(*call, |open| open.part(now)),
            Fact::CallEnded {
                call, by, cause, ..
            } => self.update(*call, |open| {
                if !open.over {
                    open.cdr.by = *by;
                    open.cdr.cause = *cause;
                    open.end(now);
                }
            }),

            Fact::LegStarted { leg, call, role } => {
                match self.calls.get_mut(call) {
                    Some(open) => add_leg(open, *leg, *role, now),
                    None => self
                        .early_legs
                        .entry(*call)
                        .or_default()
                        .push((*leg, *role, now)),
                }
                None
            }
            Fact::LegRinging { .. } | Fact::LegGivenUp { .. } => None,
            Fact::LegAnswered { leg, call } => self.update(*call, |open| {
                let began = open.began;
                let Some(found) = open.leg(*leg) else { return };
                found.answered.get_or_insert(now.utc);
                if found.role == Role::Customer && open.cdr.answered.is_none() {
                    open.cdr.answered = Some(now.utc);
                    open.cdr.ring_us = micros(now, began);
                }
            }),
            Fact::LegEnded { leg, call, cause } => self.update(*call, |open| {
                let Some(found) = open.leg(*leg) else { return };
                if found.ended.is_none() {
                    found.ended = Some(now.utc);
                    found.cause = Some(*cause);
                    open.legs_live -= 1;
                }
            }),

            Fact::IvrEntered { call, flow } => self.update(*call, |open| {
                open.cdr.flow.get_or_insert(*flow);
                open.in_flow.get_or_insert(now.mono);
            }),
            Fact::IvrNodeReached { call, node, .. } => self.update(*call, |open| {
                if open.cdr.ivr_path.len() < IVR_PATH_MAX {
                    open.cdr.ivr_path.push(node.clone());
                }
            }),
            Fact::IvrLeft { call, end, .. } => self.update(*call, |open| {
                open.flow_end = Some(*end);
                if let Some(since) = open.in_flow.take() {
                    open.cdr.ivr_us += micros(now, since);
                }
            }),
            Fact::IvrDigitsCollected { .. }
            | Fact::IvrNoInput { .. }
            | Fact::IvrNoMatch { .. }
            | Fact::IvrVariableSet { .. } => None,

            Fact::QueueEntered { call, queue, .. } => self.update(*call, |open| {
                open.cdr.visits.push(CdrVisit {
                    queue: *queue,
                    entered: now.utc,
                    waited_us: 0,
                    outcome: None,
                });
            }),
            Fact::QueueRefused { call, queue, .. } => self.update(*call, |open| {
                let outcome = Some(QueueOutcome::Refused);
                open.cdr.visits.push(CdrVisit {
                    queue: *queue,
                    entered: now.utc,
                    waited_us: 0,
                    outcome,
                });
            }),
            Fact::QueueLeft {
                call,
                queue,
                outcome,
                waited_us,
                ..
            } => self.update(*call, |open| {
                let visit = open
                    .cdr
                    .visits
                    .iter_mut()
                    .rev()
                    .find(|v| v.queue == *queue && v.outcome.is_none());
                if let Some(visit) = visit {
                    visit.waited_us = *waited_us;
                    visit.outcome = Some(*outcome);
                    open.cdr.wait_us += *waited_us;
                }
            }),

            Fact::AttemptEnded {
                attempt, outcome, ..
            } => {
                let call = *self.attempts.get(attempt)?;
                self.update(call, |open| open.attempt_outcome = Some(*outcome))
            }

            Fact::RecordingStarted { recording, call } => self.update(*call, |open| {
                open.recordings_open += 1;
                open.cdr.recordings.push(CdrRecording {
                    recording: *recording,
                    file: None,
                    seconds: 0.0,
                });
            }),
            Fact::RecordingEnded {
                recording,
                call,
                file,
                seconds,
            } => self.recording_over(*call, *recording, Some((file.clone(), *seconds))),
            Fact::RecordingFailed {
                recording, call, ..
            } => self.recording_over(*call, *recording, None),

            Fact::OfferMade { .. }
            | Fact::OfferAnswered { .. }
            | Fact::OfferFailed { .. }
            | Fact::OfferWithdrawn { .. }
            | Fact::ScreenPopped { .. }
            | Fact::AgentStateChanged { .. }
            | Fact::AgentStatePending { .. }
            | Fact::AgentDialRefused { .. }
            | Fact::CallDisposed { .. }
            | Fact::AttemptClaimed { .. }
            | Fact::AttemptBlocked { .. }
            | Fact::AttemptAnswered { .. }
            | Fact::CampaignChanged { .. }
            | Fact::CampaignChangeRefused { .. }
            | Fact::PacingDecided { .. }
            | Fact::CallbackDue { .. }
            | Fact::QuotaFull { .. }
            | Fact::CallMessageStarted { .. }
            | Fact::DoNotCallAdded { .. }
            | Fact::DoNotCallLoaded { .. }
            | Fact::TrunkChanged { .. }
            | Fact::EngineStarted { .. }
            | Fact::EngineDraining { .. }
            | Fact::EngineFaulted { .. } => None,
        }
    }

    /// Ends every open call as of `now` with the outcome `unknown_restart`: for a log whose process
    /// died, so that no call is without a record.
    pub fn abort_all(&mut self, now: Now) -> Vec<Cdr> {
        self.attempts.clear();
        self.early_legs.clear();
        std::mem::take(&mut self.calls)
            .into_values()
            .filter(|open| !open.given)
            .map(|mut open| {
                if !open.over {
                    open.cdr.cause = Cause::SystemFailed;
                    open.end(now);
                }
                open.cdr.outcome = CallOutcome::UnknownRestart;
                open.cdr
            })
            .collect()
    }

    fn begin(&mut self, cdr: Cdr, now: Now) {
        let call = cdr.call;
        let early = self.early_legs.remove(&call).unwrap_or_default();
        // A repeated beginning is a fault the ledger reports; the record keeps the first.
        let open = self
            .calls
            .entry(call)
            .or_insert_with(|| Open::new(cdr, now.mono));
        for (leg, role, began) in early {
            add_leg(open, leg, role, began);
        }
    }

    fn update(&mut self, call: CallId, change: impl FnOnce(&mut Open)) -> Option<Cdr> {
        let open = self.calls.get_mut(&call)?;
        change(open);
        if open.given || !open.is_complete() {
            return None;
        }
        open.given = true;
        open.cdr.outcome = open.outcome();
        let cdr = open.cdr.clone();
        self.forget_if_done(call);
        Some(cdr)
    }

    fn recording_over(
        &mut self,
        call: CallId,
        recording: RecordingId,
        written: Option<(String, f64)>,
    ) -> Option<Cdr> {
        let open = self.calls.get_mut(&call)?;
        let found = open
            .cdr
            .recordings
            .iter_mut()
            .find(|r| r.recording == recording)?;
        if let Some((file, seconds)) = written {
            found.file = Some(file);
            found.seconds = seconds;
        }
        open.recordings_open = open.recordings_open.saturating_sub(1);
        let again = open.given.then(|| open.cdr.clone());
        self.forget_if_done(call);
        again
    }

    fn forget_if_done(&mut self, call: CallId) {
        let Some(open) = self.calls.get(&call) else {
            return;
        };
        if open.given && open.recordings_open == 0 {
            if let Some(attempt) = open.cdr.attempt {
                self.attempts.remove(&attempt);
            }
            self.calls.remove(&call);
        }
    }
}

fn add_leg(open: &mut Open, leg: LegId, role: Role, began: Now) {
    open.legs_live += 1;
    let started = began.utc;
    open.cdr.legs.push(CdrLeg {
        leg,
        role,
        started,
        answered: None,
        ended: None,
        cause: None,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LeadId;
    use crate::event::{Attestation, Party};
    use std::time::Duration;

    fn fold(facts: Vec<(u64, Fact)>) -> Vec<Cdr> {
        let mut fold = CdrFold::new();
        let records = facts
            .into_iter()
            .zip(1..)
            .filter_map(|((ms, fact), seq)| {
                let at = Now::default().plus(Duration::from_millis(ms));
                fold.apply(&Event { seq, at, fact })
            })
            .collect();
        assert_eq!(fold.open_calls(), 0);
        records
    }

    const CLAIMED: Attestation = Attestation {
        level: crate::event::AttestationLevel::B,
        source: crate::event::AttestationSource::IdentityUnverified,
    };

    fn inbound(recording: bool) -> Vec<(u64, Fact)> {
        let (call, customer, agent_leg) = (CallId(1), LegId(1), LegId(2));
        let agent = "anna".parse().unwrap();
        let queue = "sales".parse().unwrap();
        let flow = "main".parse().unwrap();
        let direction = Direction::Inbound;
        let mut facts = vec![
            (
                0,
                Fact::CallArrived {
                    call,
                    leg: customer,
                    trunk: "carrier".parse().unwrap(),
                    caller: "+4930123456".into(),
                    caller_name: None,
                    called: "+49800".into(),
                },
            ),
            (
                0,
                Fact::LegStarted {
                    leg: customer,
                    call,
                    role: Role::Customer,
                },
            ),
            (
                100,
                Fact::LegAnswered {
                    leg: customer,
                    call,
                },
            ),
            (
                100,
                Fact::CallAttested {
                    call,
                    attestation: CLAIMED,
                },
            ),
            (100, Fact::IvrEntered { call, flow }),
            (
                100,
                Fact::IvrNodeReached {
                    call,
                    flow,
                    node: "hello".into(),
                },
            ),
            (
                1_100,
                Fact::IvrLeft {
                    call,
                    flow,
                    node: "hello".into(),
                    end: FlowEnd::Queued,
                },
            ),
            (
                1_100,
                Fact::QueueEntered {
                    call,
                    queue,
                    direction,
                    priority: 0,
                    skills: vec![],
                },
            ),
            (
                2_000,
                Fact::LegStarted {
                    leg: agent_leg,
                    call,
                    role: Role::Agent,
                },
            ),
            (
                3_000,
                Fact::LegAnswered {
                    leg: agent_leg,
                    call,
                },
            ),
            (
                3_100,
                Fact::CallBridged {
                    call,
                    agent,
                    customer_leg: customer,
                    agent_leg,
                },
            ),
            (
                3_100,
                Fact::QueueLeft {
                    call,
                    queue,
                    direction,
                    outcome: QueueOutcome::Answered,
                    waited_us: 2_000_000,
                    short: false,
                    during_offer: false,
                    within_target: true,
                },
            ),
            (
                10_000,
                Fact::CallHeld {
                    call,
                    by: Party::Agent,
                },
            ),
            (
                12_000,
                Fact::CallResumed {
                    call,
                    by: Party::Agent,
                },
            ),
            (20_000, Fact::CallUnbridged { call, agent }),
            (
                20_000,
                Fact::LegEnded {
                    leg: customer,
                    call,
                    cause: Cause::Normal,
                },
            ),
            (
                20_000,
                Fact::CallEnded {
                    call,
                    direction,
                    by: Party::Customer,
                    cause: Cause::Normal,
                },
            ),
            (
                20_050,
                Fact::LegEnded {
                    leg: agent_leg,
                    call,
                    cause: Cause::Normal,
                },
            ),
        ];
        if recording {
            facts.insert(
                10,
                (
                    3_100,
                    Fact::RecordingStarted {
                        recording: RecordingId(1),
                        call,
                    },
                ),
            );
            let file = "rec-1.wav".to_string();
            facts.push((
                21_000,
                Fact::RecordingEnded {
                    recording: RecordingId(1),
                    call,
                    file,
                    seconds: 16.9,
                },
            ));
        }
        facts
    }

    #[test]
    fn an_answered_inbound_call_becomes_one_record_when_its_last_leg_ends() {
        let records = fold(inbound(false));
        assert_eq!(records.len(), 1);
        let cdr = &records[0];
        assert_eq!(cdr.attestation, Some(CLAIMED));
        assert_eq!(cdr.outcome, CallOutcome::Visit(QueueOutcome::Answered));
        assert_eq!(
            (cdr.ring_us, cdr.ivr_us, cdr.wait_us),
            (100_000, 1_000_000, 2_000_000)
        );
        assert_eq!(
            (cdr.talk_us, cdr.hold_us, cdr.duration_us),
            (14_900_000, 2_000_000, 20_000_000)
        );
        assert_eq!(cdr.by, Party::Customer);
        assert_eq!(cdr.ivr_path, ["hello"]);
        assert_eq!(cdr.legs.len(), 2);
        assert!(cdr.legs.iter().all(|leg| leg.ended.is_some()));
    }

    #[test]
    fn a_recording_written_later_gives_the_record_again_with_its_file() {
        let records = fold(inbound(true));
        assert_eq!(records.len(), 2);
        assert_eq!(records[0].recordings[0].file, None);
        assert_eq!(records[1].recordings[0].file.as_deref(), Some("rec-1.wav"));
        assert_eq!(records[0].call, records[1].call);
    }

    #[test]
    fn an_outbound_record_waits_for_the_outcome_of_its_attempt() {
        let (call, leg, attempt, lead) = (CallId(7), LegId(9), AttemptId(5), LeadId(3));
        let campaign = "spring".parse().unwrap();
        let dialled = Fact::CallDialled {
            call,
            leg,
            trunk: "carrier".parse().unwrap(),
            campaign,
            attempt,
            lead,
            number: "+4930123456".parse().unwrap(),
            caller_id: "+4980".into(),
        };
        let records = fold(vec![
            (
                0,
                Fact::LegStarted {
                    leg,
                    call,
                    role: Role::Customer,
                },
            ),
            (0, dialled),
            (
                9_000,
                Fact::LegEnded {
                    leg,
                    call,
                    cause: Cause::Busy,
                },
            ),
            (
                9_000,
                Fact::CallEnded {
                    call,
                    direction: Direction::Outbound,
                    by: Party::Customer,
                    cause: Cause::Busy,
                },
            ),
            (
                9_000,
                Fact::AttemptEnded {
                    attempt,
                    campaign,
                    lead,
                    outcome: AttemptOutcome::Busy,
                    cause: Some(Cause::Busy),
                    rang_us: 0,
                    next_at: None,
                },
            ),
        ]);
        assert_eq!(records.len(), 1);
        assert_eq!(
            records[0].outcome,
            CallOutcome::Attempt(AttemptOutcome::Busy)
        );
        assert_eq!(records[0].ring_us, 9_000_000);
        assert_eq!(
            records[0].legs.len(),
            1,
            "a leg told of before its call is in the record"
        );
    }

    #[test]
    fn a_call_cut_off_by_a_crash_still_gets_a_record() {
        let mut fold = CdrFold::new();
        for ((ms, fact), seq) in inbound(false).into_iter().take(11).zip(1..) {
            let at = Now::default().plus(Duration::from_millis(ms));
            assert_eq!(fold.apply(&Event { seq, at, fact }), None);
        }
        let records = fold.abort_all(Now::default().plus(Duration::from_secs(5)));
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].outcome, CallOutcome::UnknownRestart);
        assert_eq!(records[0].talk_us, 1_900_000);
    }
}
