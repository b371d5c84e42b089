//! What a campaign does when a machine answers: hang up, leave a message after the beep, or connect
//! an agent all the same. A pure decision; who listens, plays and hangs up is elsewhere.
//!
//! ```text
//! verdict ─► person, unsure: Connect          machine, policy agent: Connect
//!         ─► fax: HangUp                      machine, policy hang_up: HangUp
//!         └► machine, policy leave_message: AwaitBeep ─► beep over, or talk over: Play, then HangUp
//!                                                    └─► nothing until beep_wait_ms: Play
//! ```

use model::event::Verdict;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What to do with a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnMachine {
    /// End the call.
    #[default]
    HangUp,
    /// Wait for the beep and play a prompt.
    LeaveMessage,
    /// Connect it like a person.
    Agent,
}

/// The longest a greeting is waited for, in ms: mailboxes of the networks cut greetings at 60 s.
pub const BEEP_WAIT_MS_MAX: u32 = 60_000;

/// The shortest wait that makes sense, in ms: greetings last 4 s and more.
pub const BEEP_WAIT_MS_MIN: u32 = 5_000;

/// How a campaign treats machines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachinePolicy {
    /// What to do with one.
    #[serde(default)]
    pub on_machine: OnMachine,
    /// The prompt that is left, with `leave_message`.
    #[serde(default)]
    pub message_prompt: Option<String>,
    /// How long the beep is waited for, in ms from the verdict. After it the message is played anyway:
    /// some machines do not beep.
    #[serde(default = "beep_wait")]
    pub beep_wait_ms: u32,
}

impl Default for MachinePolicy {
    fn default() -> MachinePolicy {
        MachinePolicy {
            on_machine: OnMachine::default(),
            message_prompt: None,
            beep_wait_ms: beep_wait(),
        }
    }
}

fn beep_wait() -> u32 {
    30_000
}

/// Why a policy is no good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyProblem {
    /// `leave_message` without `message_prompt`.
    NoPrompt,
    /// `message_prompt` with another `on_machine`: it would never be played.
    PromptUnused,
    /// `beep_wait_ms` outside of [`BEEP_WAIT_MS_MIN`] to [`BEEP_WAIT_MS_MAX`].
    BeepWait,
}

impl MachinePolicy {
    /// Everything that is wrong, in the order of the keys.
    pub fn problems(&self) -> Vec<PolicyProblem> {
        let mut problems = Vec::new();
        let prompt = self.message_prompt.as_deref().map(str::trim);
        let named = prompt.is_some_and(|p| !p.is_empty());
        match self.on_machine {
            OnMachine::LeaveMessage if !named => problems.push(PolicyProblem::NoPrompt),
            OnMachine::HangUp | OnMachine::Agent if prompt.is_some() => {
                problems.push(PolicyProblem::PromptUnused);
            }
            OnMachine::LeaveMessage | OnMachine::HangUp | OnMachine::Agent => {}
        }
        if !(BEEP_WAIT_MS_MIN..=BEEP_WAIT_MS_MAX).contains(&self.beep_wait_ms) {
            problems.push(PolicyProblem::BeepWait);
        }
        problems
    }

    /// How long the beep is waited for.
    pub fn beep_wait(&self) -> Duration {
        Duration::from_millis(u64::from(self.beep_wait_ms))
    }
}

/// How far a call with a machine has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Doing {
    /// Nobody knows yet who answered.
    #[default]
    Listening,
    /// Nobody was sure, or it was a person; an agent has not been connected yet.
    Waiting,
    /// An agent talks.
    Connected,
    /// The beep is waited for.
    AwaitingBeep,
    /// The message is being played.
    Leaving,
}

/// What was heard on the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Who answered; also when a person turns out to be a machine after all.
    Is(Verdict),
    /// Nothing certain in time.
    Unsure,
    /// A beep has ended.
    BeepEnded,
    /// `beep_wait_ms` have passed without one.
    NoBeep,
    /// The message has been played.
    MessagePlayed,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act<'a> {
    /// Go on as before.
    Nothing,
    /// Connect an agent.
    Connect,
    /// Wait for the beep for this long; then tell [`Heard::NoBeep`].
    AwaitBeep(Duration),
    /// Play this prompt; then tell [`Heard::MessagePlayed`].
    Play(&'a str),
    /// End the call.
    HangUp,
}

/// Decides. A talk with an agent is never ended by a verdict: the agent hears who it is.
pub fn decide(policy: &MachinePolicy, doing: Doing, heard: Heard) -> Act<'_> {
    match (doing, heard) {
        (Doing::Listening, Heard::Is(Verdict::Person) | Heard::Unsure) => Act::Connect,
        (Doing::Listening | Doing::Waiting, Heard::Is(Verdict::Fax)) => Act::HangUp,
        (Doing::Listening | Doing::Waiting, Heard::Is(Verdict::Machine)) => machine(policy, doing),
        // The beep told first: the machine was recognised by it, or is done with its greeting.
        (Doing::Listening | Doing::Waiting, Heard::BeepEnded | Heard::NoBeep) => Act::Nothing,
        (Doing::Waiting, Heard::Is(Verdict::Person) | Heard::Unsure) => Act::Nothing,
        (Doing::AwaitingBeep, Heard::BeepEnded | Heard::NoBeep) => match &policy.message_prompt {
            Some(prompt) => Act::Play(prompt),
            None => Act::HangUp,
        },
        // A second beep: the message starts again, or it would be recorded without its beginning.
        (Doing::Leaving, Heard::BeepEnded) => match &policy.message_prompt {
            Some(prompt) => Act::Play(prompt),
            None => Act::HangUp,
        },
        (Doing::Leaving, Heard::MessagePlayed) => Act::HangUp,
        (Doing::AwaitingBeep | Doing::Leaving, Heard::Is(Verdict::Fax)) => Act::HangUp,
        (
            Doing::AwaitingBeep | Doing::Leaving,
            Heard::Is(Verdict::Person | Verdict::Machine) | Heard::Unsure,
        )
        | (Doing::Leaving, Heard::NoBeep)
        | (Doing::Listening | Doing::Waiting | Doing::AwaitingBeep, Heard::MessagePlayed)
        | (
            Doing::Connected,
            Heard::Is(Verdict::Person | Verdict::Machine | Verdict::Fax)
            | Heard::Unsure
            | Heard::BeepEnded
            | Heard::NoBeep
            | Heard::MessagePlayed,
        ) => Act::Nothing,
    }
}

fn machine(policy: &MachinePolicy, doing: Doing) -> Act<'_> {
    match (policy.on_machine, doing) {
        (OnMachine::HangUp, _) => Act::HangUp,
        (OnMachine::LeaveMessage, _) => Act::AwaitBeep(policy.beep_wait()),
        (OnMachine::Agent, Doing::Listening) => Act::Connect,
        // It waits for an agent already.
        (
            OnMachine::Agent,
            Doing::Waiting | Doing::Connected | Doing::AwaitingBeep | Doing::Leaving,
        ) => Act::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leave_message() -> MachinePolicy {
        MachinePolicy {
            on_machine: OnMachine::LeaveMessage,
            message_prompt: Some("callback.wav".into()),
            beep_wait_ms: 20_000,
        }
    }

    fn with(on_machine: OnMachine) -> MachinePolicy {
        MachinePolicy {
            on_machine,
            ..MachinePolicy::default()
        }
    }

    #[test]
    fn persons_and_whoever_is_unclear_get_an_agent_whatever_the_policy() {
        for policy in [
            with(OnMachine::HangUp),
            with(OnMachine::Agent),
            leave_message(),
        ] {
            for heard in [Heard::Is(Verdict::Person), Heard::Unsure] {
                assert_eq!(decide(&policy, Doing::Listening, heard), Act::Connect);
                assert_eq!(decide(&policy, Doing::Waiting, heard), Act::Nothing);
            }
        }
    }

    #[test]
    fn a_message_is_played_after_the_beep_and_then_the_call_ends() {
        let policy = leave_message();
        let machine = decide(&policy, Doing::Listening, Heard::Is(Verdict::Machine));
        assert_eq!(machine, Act::AwaitBeep(Duration::from_secs(20)));
        for heard in [Heard::BeepEnded, Heard::NoBeep] {
            let act = decide(&policy, Doing::AwaitingBeep, heard);
            assert_eq!(act, Act::Play("callback.wav"));
        }
        let again = decide(&policy, Doing::Leaving, Heard::BeepEnded);
        assert_eq!(again, Act::Play("callback.wav"), "a second beep");
        let end = decide(&policy, Doing::Leaving, Heard::MessagePlayed);
        assert_eq!(end, Act::HangUp);
    }

    #[test]
    fn a_machine_recognised_late_is_treated_so_until_an_agent_talks() {
        let late = Heard::Is(Verdict::Machine);
        let hang_up = with(OnMachine::HangUp);
        assert_eq!(decide(&hang_up, Doing::Waiting, late), Act::HangUp);
        assert_eq!(
            decide(&with(OnMachine::Agent), Doing::Waiting, late),
            Act::Nothing
        );
        for policy in [hang_up, leave_message(), with(OnMachine::Agent)] {
            for heard in [
                late,
                Heard::Is(Verdict::Fax),
                Heard::BeepEnded,
                Heard::NoBeep,
                Heard::Unsure,
            ] {
                assert_eq!(decide(&policy, Doing::Connected, heard), Act::Nothing);
            }
        }
    }

    #[test]
    fn a_fax_is_never_connected_and_never_left_a_message() {
        for policy in [
            with(OnMachine::HangUp),
            with(OnMachine::Agent),
            leave_message(),
        ] {
            for doing in [
                Doing::Listening,
                Doing::Waiting,
                Doing::AwaitingBeep,
                Doing::Leaving,
            ] {
                let act = decide(&policy, doing, Heard::Is(Verdict::Fax));
                assert_eq!(act, Act::HangUp, "{doing:?}");
            }
        }
    }

    #[test]
    fn a_policy_is_read_as_it_is_written_and_refused_where_it_contradicts_itself() {
        let read = |text: &str| toml::from_str::<MachinePolicy>(text);
        let policy = read("on_machine = \"leave_message\"\nmessage_prompt = \"m.wav\"").unwrap();
        assert_eq!(policy.on_machine, OnMachine::LeaveMessage);
        assert_eq!(policy.beep_wait_ms, 30_000);
        assert!(policy.problems().is_empty());
        assert_eq!(read("").unwrap(), MachinePolicy::default());
        assert!(MachinePolicy::default().problems().is_empty());
        let problems = |text: &str| read(text).unwrap().problems();
        assert_eq!(
            problems("on_machine = \"leave_message\""),
            [PolicyProblem::NoPrompt]
        );
        assert_eq!(
            problems("on_machine = \"leave_message\"\nmessage_prompt = \" \""),
            [PolicyProblem::NoPrompt]
        );
        assert_eq!(
            problems("message_prompt = \"m.wav\"\nbeep_wait_ms = 100"),
            [PolicyProblem::PromptUnused, PolicyProblem::BeepWait]
        );
        assert!(read("on_machine = \"shout\"").is_err());
        assert!(read("on_machin = \"agent\"").is_err());
    }
}
