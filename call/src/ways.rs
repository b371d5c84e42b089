//! The ways from one stage to the next: into a flow, a queue, a bridge, on hold, to the last words, and
//! the one way out, [`wind_up`]. Each takes down what stood, asks for what is to stand, and returns
//! the stage it leads to; which way is taken is decided in [`crate::life`].

use crate::call::Call;
use crate::classify::left_early;
use crate::command::Command;
use crate::floor::{Floor, LastCall};
use crate::life::{PARTING_MAX, Stage, Talk, Visit};
use crate::message::{ask_for_agent, messaged, speak};
use crate::offer::drop_offer;
use acd::command::Next;
use acd::input::SkillNeed;
use ivr::Session;
use model::event::{Party, Role, Withdrawal};
use model::screen_pop::Direction;
use model::{
    AgentId, Cause, Fact, FlowId, LegId, LookupId, PlayId, QueueId, QueueOutcome, RecordingId,
    SkillId,
};

/// Most queues and flows a call is sent on to in one instant. Queues that are all closed and
/// overflow into each other would send it round for ever.
pub const OVERFLOWS_AT_ONCE_MAX: u32 = 16;

pub(crate) fn answer(call: &mut Call, floor: &mut Floor) {
    call.answered(floor);
    floor.command(Command::AnswerLeg { leg: call.leg });
    floor.fact(Fact::LegAnswered {
        leg: call.leg,
        call: call.id,
    });
}

pub(crate) fn enter_flow(call: &mut Call, flow: FlowId, floor: &mut Floor) -> Stage {
    let Some(flow) = floor.flows.get(&flow).cloned() else {
        floor.fact(Fact::EngineFaulted {
            call: Some(call.id),
            what: format!("no flow {flow}"),
        });
        return part(call, None, floor);
    };
    call.story.flow = Some(flow.id);
    let facts = ivr::CallFacts {
        call: call.id,
        caller: call.caller.clone(),
        called: call.called.clone(),
        variables: call.story.variables.clone(),
    };
    let session = Session::start(floor.now, flow, facts, &mut floor.plays, &mut floor.ivr_out);
    carry_out_flow(call, Box::new(session), floor)
}

/// Does what the flow asked for in its last step.
pub(crate) fn carry_out_flow(call: &mut Call, session: Box<Session>, floor: &mut Floor) -> Stage {
    note_flow_facts(call, floor);
    while let Some(command) = floor.ivr_out.commands.pop_front() {
        match command {
            ivr::Command::Play {
                play,
                pieces,
                repeat,
            } => {
                (call.playing, call.music) = (Some(play), None);
                floor.command(Command::Play {
                    leg: call.leg,
                    play,
                    pieces,
                    repeat,
                });
            }
            ivr::Command::StopPlay { play } => {
                if call.playing.take_if(|playing| *playing == play).is_some() {
                    floor.command(Command::StopPlay {
                        leg: call.leg,
                        play,
                    });
                }
            }
            ivr::Command::Lookup {
                lookup,
                source,
                parameters,
                timeout,
            } => {
                expect_lookup(call, Some(lookup), floor);
                floor.command(Command::Lookup {
                    lookup,
                    call: call.id,
                    source,
                    parameters,
                    timeout,
                });
            }
            ivr::Command::DoNotCall => opt_out(call, floor),
            ivr::Command::Queue {
                queue,
                priority,
                skills,
            } => {
                expect_lookup(call, None, floor);
                ask_for_agent(call, floor);
                return enter_queue(call, queue, priority, skills, floor);
            }
            ivr::Command::HangUp { cause } => {
                expect_lookup(call, None, floor);
                messaged(call, floor);
                return end(call, Party::System, cause, floor);
            }
        }
    }
    Stage::InFlow(session)
}

/// The customer's number, whoever called whom. One who hides it cannot be called anyway.
fn opt_out(call: &Call, floor: &mut Floor) {
    let number = match &call.dial {
        Some(dial) => Some(dial.number),
        None => call.caller.parse().ok(),
    };
    if let Some(number) = number {
        floor.do_not_call(number);
    }
}

/// A flow waits for one answer at a time: what an earlier dip finds comes too late.
pub(crate) fn expect_lookup(call: &mut Call, lookup: Option<LookupId>, floor: &mut Floor) {
    if let Some(before) = std::mem::replace(&mut call.lookup, lookup) {
        floor.call_of_lookup.remove(&before);
    }
    if let Some(lookup) = lookup {
        floor.call_of_lookup.insert(lookup, call.id);
    }
}

/// Publishes what a flow established, and keeps for the screen pop what it may show.
pub(crate) fn note_flow_facts(call: &mut Call, floor: &mut Floor) {
    for fact in std::mem::take(&mut floor.ivr_out.facts) {
        if let Fact::IvrNodeReached { node, .. } = &fact {
            call.story.ivr_path.push(node.clone());
        }
        if let Fact::IvrVariableSet { name, value, .. } = &fact {
            call.story.variables.insert(name.clone(), value.clone());
        }
        floor.fact(fact);
    }
}

pub(crate) fn enter_queue(
    call: &mut Call,
    queue: QueueId,
    priority: i16,
    skills: Vec<(SkillId, u8)>,
    floor: &mut Floor,
) -> Stage {
    call.story.priority = priority;
    call.story.skills = skills;
    if call.direction == Direction::Inbound {
        let music = floor.config.treatment(queue).music;
        if call.playing.is_none() || call.music.as_ref() != Some(&music) {
            play(call, music, true, floor);
        }
    }
    let give_up_after = call
        .dial
        .is_some()
        .then(|| call.patience() - floor.now.mono);
    let needs = call
        .story
        .skills
        .iter()
        .map(|&(skill, level)| SkillNeed { skill, level });
    floor.tell_acd(acd::Input::Enqueue(acd::input::Visit {
        call: call.id,
        queue,
        direction: call.direction,
        priority,
        skills: needs.collect(),
        preferred: None,
        give_up_after,
    }));
    Stage::Waiting(Visit {
        queue,
        offers: Vec::new(),
    })
}

/// The customer we called is on the line: to the agent who previewed, or to the campaign's queue.
pub(crate) fn connect(call: &mut Call, floor: &mut Floor) -> Stage {
    let dial = call
        .dial
        .as_ref()
        .expect("only outbound calls are connected");
    if let Some(flow) = dial.flow {
        return speak(call, flow, floor);
    }
    let Some(agent) = dial.agent else {
        let queue = QueueId(dial.campaign.0);
        return enter_queue(call, queue, 0, Vec::new(), floor);
    };
    let until = call.patience();
    let leg = LegId(floor.legs.next());
    let ring_timeout = until - floor.now.mono;
    floor.begin_leg(leg, call.id, Role::Agent);
    floor.command(Command::DialAgent {
        leg,
        call: call.id,
        agent,
        caller: call.caller.clone(),
        caller_name: call.caller_name.clone(),
        ring_timeout,
        auto_answer: true,
    });
    Stage::Connecting { agent, leg, until }
}

/// A live person, no agent in time: the message, and the book.
pub(crate) fn abandon(call: &mut Call, floor: &mut Floor) -> Stage {
    let dial = call
        .dial
        .as_ref()
        .expect("only outbound calls are abandoned");
    let (prompt, flow) = (dial.abandon_prompt.clone(), dial.abandon_flow);
    floor.tell_dialer(dialer::Input::AttemptAbandoned {
        attempt: dial.attempt,
    });
    call.abandoned = true;
    match flow {
        Some(flow) => {
            floor.fact(Fact::CallMessageStarted {
                call: call.id,
                prompt: flow.to_string(),
            });
            speak(call, flow, floor)
        }
        None => {
            if let Some(prompt) = &prompt {
                floor.fact(Fact::CallMessageStarted {
                    call: call.id,
                    prompt: prompt.clone(),
                });
            }
            part(call, prompt, floor)
        }
    }
}

pub(crate) fn leave_queue(
    call: &mut Call,
    outcome: QueueOutcome,
    next: Next,
    floor: &mut Floor,
) -> Stage {
    if call.direction == Direction::Outbound {
        return abandon(call, floor);
    }
    call.overflows = match call.overflows {
        (at, times) if at == floor.now.mono => (at, times + 1),
        _ => (floor.now.mono, 1),
    };
    if call.overflows.1 > OVERFLOWS_AT_ONCE_MAX {
        let what = "queues that take nobody overflow into each other".to_string();
        floor.fact(Fact::EngineFaulted {
            call: Some(call.id),
            what,
        });
        return end(call, Party::System, Cause::Congestion, floor);
    }
    match next {
        Next::Nowhere => {
            let cause = if outcome == QueueOutcome::SystemFailed {
                Cause::SystemFailed
            } else {
                Cause::Normal
            };
            end(call, Party::System, cause, floor)
        }
        // Another queue, the same needs: nobody speaks another language because time has passed.
        Next::Queue(queue) => {
            let skills = std::mem::take(&mut call.story.skills);
            enter_queue(call, queue, call.story.priority, skills, floor)
        }
        Next::Flow(flow) => enter_flow(call, flow, floor),
        Next::HangUp { prompt } => part(call, prompt, floor),
    }
}

/// Last words if there are any, then the end.
pub(crate) fn part(call: &mut Call, prompt: Option<String>, floor: &mut Floor) -> Stage {
    let until = floor.now.mono + PARTING_MAX;
    match prompt {
        Some(prompt) => {
            let play = play(call, prompt, false, floor);
            Stage::Parting { play, until }
        }
        None => end(call, Party::System, Cause::Normal, floor),
    }
}

/// Plays one prompt to the customer, instead of what plays.
pub(crate) fn play(call: &mut Call, prompt: String, repeat: bool, floor: &mut Floor) -> PlayId {
    let play = floor.mint_play();
    (call.playing, call.music) = (Some(play), repeat.then(|| prompt.clone()));
    floor.command(Command::Play {
        leg: call.leg,
        play,
        pieces: vec![ivr::Piece::Prompt(prompt)],
        repeat,
    });
    play
}

pub(crate) fn waiting_or_offered(visit: Visit) -> Stage {
    if visit.offers.is_empty() {
        Stage::Waiting(visit)
    } else {
        Stage::Offered(visit)
    }
}

pub(crate) fn cause_of(why: Withdrawal) -> Cause {
    match why {
        Withdrawal::AnsweredElsewhere => Cause::AnsweredElsewhere,
        Withdrawal::CallerLeft | Withdrawal::CallRemoved => Cause::Cancelled,
    }
}

/// Lets customer and agent hear each other, and records them if the queue says so.
pub(crate) fn bridge(
    call: &mut Call,
    agent: AgentId,
    leg: LegId,
    queue: QueueId,
    floor: &mut Floor,
) -> Talk {
    stop_play(call, floor);
    floor.command(Command::Bridge {
        a: call.leg,
        b: leg,
    });
    floor.fact(Fact::CallBridged {
        call: call.id,
        agent,
        customer_leg: call.leg,
        agent_leg: leg,
    });
    floor.call_of_agent.insert(agent, call.id);
    let dial = call.dial.as_ref();
    let last = LastCall {
        call: call.id,
        lead: dial.map(|dial| dial.lead.id),
        number: dial
            .map(|dial| dial.number)
            .or_else(|| call.caller.parse().ok()),
    };
    floor.last_call_of_agent.insert(agent, last);
    let recording = floor
        .config
        .treatment(queue)
        .record
        .then(|| RecordingId(floor.recordings.next()));
    if let Some(recording) = recording {
        floor.call_of_recording.insert(recording, call.id);
        floor.command(Command::StartRecording {
            recording,
            call: call.id,
            customer: call.leg,
            agent: leg,
        });
        floor.fact(Fact::RecordingStarted {
            recording,
            call: call.id,
        });
    }
    if let Some(attempt) = call.attempt() {
        floor.tell_dialer(dialer::Input::AttemptConnected { attempt, agent });
    }
    Talk {
        agent,
        leg,
        queue,
        recording,
        agent_holds: false,
        customer_holds: false,
    }
}

/// One party holds or resumes. The call is held from the first to the last of them.
pub(crate) fn hold(
    call: &mut Call,
    mut talk: Talk,
    by: Party,
    held: bool,
    floor: &mut Floor,
) -> Stage {
    let was = talk.agent_holds || talk.customer_holds;
    match by {
        Party::Customer => talk.customer_holds = held,
        Party::Agent | Party::System => {
            if talk.agent_holds != held {
                talk.agent_holds = held;
                if held {
                    floor.command(Command::Unbridge {
                        a: call.leg,
                        b: talk.leg,
                    });
                    let music = floor.config.treatment(talk.queue).hold_music;
                    play(call, music, true, floor);
                } else {
                    stop_play(call, floor);
                    floor.command(Command::Bridge {
                        a: call.leg,
                        b: talk.leg,
                    });
                }
            }
        }
    }
    match (was, talk.agent_holds || talk.customer_holds) {
        (false, true) => floor.fact(Fact::CallHeld { call: call.id, by }),
        (true, false) => floor.fact(Fact::CallResumed { call: call.id, by }),
        (true, true) | (false, false) => {}
    }
    talk.stage()
}

pub(crate) fn stop_play(call: &mut Call, floor: &mut Floor) {
    if let Some(play) = call.playing.take() {
        floor.command(Command::StopPlay {
            leg: call.leg,
            play,
        });
    }
}

pub(crate) fn release_reserved(call: &Call, agent: AgentId, floor: &mut Floor) {
    floor.call_of_agent.remove(&agent);
    floor.tell_acd(acd::Input::Release {
        agent,
        call: call.id,
    });
}

/// Ends a call out of any stage: tells whoever waits for it, takes down what stands, closes the
/// books. `by` the customer means their leg is gone already; by the agent, theirs.
pub(crate) fn wind_up(
    call: &mut Call,
    stage: Stage,
    by: Party,
    cause: Cause,
    floor: &mut Floor,
) -> Stage {
    match stage {
        Stage::Previewing(preview) => {
            let (agent, attempt) = (preview.agent, preview.attempt);
            floor.call_of_offer.remove(&preview.offer);
            // Once accepted, the claim's answer is still to come.
            if !preview.accepted {
                floor.call_of_claim.remove(&attempt);
                floor.tell_dialer(dialer::Input::PreviewAnswered {
                    agent,
                    attempt,
                    accept: false,
                });
            }
            release_reserved(call, agent, floor);
            return Stage::Over;
        }
        Stage::Dialing { .. } | Stage::GivingUp { .. } => {
            let attempt = call.attempt().expect("only outbound calls dial");
            floor.tell_dialer(dialer::Input::AttemptFailed { attempt, cause });
        }
        Stage::Classifying { .. } => {
            left_early(call, floor);
            hung_up_early(call, floor);
        }
        Stage::InFlow(mut session) => {
            let now = floor.now;
            session.handle(
                now,
                ivr::Input::HungUp,
                &mut floor.plays,
                &mut floor.ivr_out,
            );
            note_flow_facts(call, floor);
            finish_flow(call, floor);
            messaged(call, floor);
        }
        Stage::LeavingMessage { .. } => messaged(call, floor),
        Stage::Waiting(visit) | Stage::Offered(visit) => {
            for offer in &visit.offers {
                drop_offer(call, offer, Cause::Cancelled, floor);
            }
            let input = match by {
                Party::Customer | Party::Agent => acd::Input::CallerLeft { call: call.id },
                Party::System if cause == Cause::MediaLost => {
                    acd::Input::CallerLeft { call: call.id }
                }
                Party::System => acd::Input::Remove {
                    call: call.id,
                    outcome: QueueOutcome::SystemFailed,
                },
            };
            floor.tell_acd(input);
            hung_up_early(call, floor);
        }
        Stage::Connecting { leg, .. } => {
            floor.end_leg(leg, call.id, Cause::Cancelled, true);
            hung_up_early(call, floor);
        }
        Stage::Talking(talk) | Stage::OnHold(talk) => {
            // One that failed has ended by itself.
            if let Some(recording) = talk.recording
                && floor.call_of_recording.contains_key(&recording)
            {
                floor.command(Command::StopRecording { recording });
            }
            if by != Party::Agent {
                floor.end_leg(talk.leg, call.id, cause, true);
            }
            floor.fact(Fact::CallUnbridged {
                call: call.id,
                agent: talk.agent,
            });
            floor.call_of_agent.remove(&talk.agent);
            floor.tell_acd(acd::Input::TalkEnded {
                agent: talk.agent,
                call: call.id,
            });
        }
        Stage::Parting { .. } | Stage::Over => {}
    }
    end(call, by, cause, floor)
}

/// Ends a call that nobody waits for any more: hangs up, unless the customer did, and closes its books.
pub(crate) fn end(call: &mut Call, by: Party, cause: Cause, floor: &mut Floor) -> Stage {
    if by != Party::Customer {
        let leg = call.leg;
        floor.command(Command::HangUpLeg { leg, cause });
    }
    close(call, by, cause, floor)
}

/// Closes the books of a call that nobody waits for any more, whose customer's leg is over.
pub(crate) fn close(call: &mut Call, by: Party, cause: Cause, floor: &mut Floor) -> Stage {
    call.playing = None;
    // The agent who previewed a lead that came to nothing is free again.
    if let Some(agent) = call.dial.as_ref().and_then(|dial| dial.agent)
        && floor.call_of_agent.get(&agent) == Some(&call.id)
    {
        release_reserved(call, agent, floor);
    }
    if call.is_service {
        floor.drop_leg(call.leg, call.id, cause, false);
        return Stage::Over;
    }
    floor.end_leg(call.leg, call.id, cause, false);
    if let Some(attempt) = call.attempt() {
        floor.call_of_attempt.remove(&attempt);
    }
    floor.fact(Fact::CallEnded {
        call: call.id,
        direction: call.direction,
        by,
        cause,
    });
    Stage::Over
}

/// What a flow still wants when its caller is gone: to tell somebody, never to touch the leg (I9).
pub(crate) fn finish_flow(call: &mut Call, floor: &mut Floor) {
    expect_lookup(call, None, floor);
    for command in std::mem::take(&mut floor.ivr_out.commands) {
        match command {
            // Nobody waits for the answer.
            ivr::Command::Lookup {
                lookup,
                source,
                parameters,
                timeout,
            } => {
                floor.command(Command::Lookup {
                    lookup,
                    call: call.id,
                    source,
                    parameters,
                    timeout,
                });
            }
            ivr::Command::Play { .. }
            | ivr::Command::StopPlay { .. }
            | ivr::Command::DoNotCall
            | ivr::Command::Queue { .. }
            | ivr::Command::HangUp { .. } => {}
        }
    }
}

/// An answered customer hung up (or was lost) before an agent: the dialer's book needs an end. Where
/// a flow was to speak, no agent was theirs to get.
pub(crate) fn hung_up_early(call: &Call, floor: &mut Floor) {
    if call.dial.as_ref().is_some_and(|dial| dial.flow.is_some()) && call.asked.is_none() {
        return messaged(call, floor);
    }
    if let Some(attempt) = call.attempt() {
        floor.tell_dialer(dialer::Input::AttemptHungUpEarly { attempt });
    }
}
