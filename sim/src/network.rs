//! The way between engine and phones: everything takes a while, some answers never come, some
//! come twice. Facts of one leg keep their order, as those of one dialog do; commands too.

use crate::setting::NetworkSetting;
use call::Input;
use model::{Mono, Rng};
use std::time::Duration;

pub(crate) struct Network {
    setting: NetworkSetting,
    rng: Rng,
    /// When the last command arrived: the next is no earlier.
    commands_until: Mono,
}

impl Network {
    pub fn new(setting: NetworkSetting, rng: Rng) -> Network {
        Network {
            setting,
            rng,
            commands_until: Mono::ZERO,
        }
    }

    /// Whether everything arrives at once, so that nothing need be kept.
    pub fn is_perfect(&self) -> bool {
        self.setting.delay.is_zero() && self.setting.loss == 0.0 && self.setting.repeat == 0.0
    }

    /// One way.
    pub fn delay(&mut self) -> Duration {
        Duration::from_micros(self.rng.below(self.setting.delay.as_micros() as u64 + 1))
    }

    /// When a command that leaves now is carried out.
    pub fn command_arrives(&mut self, now: Mono) -> Mono {
        self.commands_until = self.commands_until.max(now + self.delay());
        self.commands_until
    }

    /// Whether this fact is lost. Only what a process could lose: what SIP repeats until it is
    /// acknowledged arrives, save that a peer's end may show by its silence alone.
    pub fn loses(&mut self, input: &Input) -> bool {
        let may = matches!(
            input,
            Input::ScreenPopped { .. }
                | Input::PromptFinished { .. }
                | Input::LegRinging { .. }
                | Input::RecordingWritten { .. }
                | Input::LegEnded { .. }
        );
        may && self.rng.chance(self.setting.loss)
    }

    /// Whether this fact comes twice. An arriving call does not: SIP takes a repeated INVITE for the first.
    pub fn repeats(&mut self, input: &Input) -> bool {
        !matches!(input, Input::LegArrived { .. }) && self.rng.chance(self.setting.repeat)
    }
}
