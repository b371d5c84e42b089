//! Call progress and answering machine detection, over frames of G.711 and the time they stand for.
//!
//! A [`Listener`] follows one leg: what the network plays before and after the answer
//! ([`CallProgress`]), whether a person or a machine answered ([`Machine`]), and the beep after which a
//! message can be left ([`Beep`]). It reads no clock: time is what the frames add up to. Nothing is
//! allocated; a listener has less than 2 KiB. What it was measured with is in docs/detection.md.
//!
//! ```
//! use media::detect::{Finding, Listener, Targets, Tone};
//! use media::tone::{Progress, progress};
//!
//! // Early media: an engaged line in Germany.
//! let mut listener = Listener::new(Targets::default());
//! let mut told = Vec::new();
//! for _ in 0..4 {
//!     listener.samples(&progress(Progress::Busy), |finding| told.push(finding));
//! }
//! let [Finding::Tone(heard)] = told[..] else { panic!("{told:?}") };
//! assert_eq!((heard.tone, heard.country), (Tone::Busy, "DE"));
//! ```

pub mod beep;
pub mod cadence;
pub mod ear;
pub mod machine;
pub mod progress;
pub mod spectrum;
pub mod tables;
pub mod utterance;
pub mod voice;

pub use beep::{Beep, BeepHeard};
pub use cadence::{Sit, Tone};
pub use ear::{Ear, Frame};
pub use machine::{Evidence, Greeting, Judgement, Machine, Targets, Who};
pub use progress::{CallProgress, ToneHeard, explains};

/// Lost frames told to the detectors at once, at most: half a second, behind which it is a pause in
/// the stream and no loss.
pub const LOST_FRAMES_MAX: u32 = 25;

/// What a listener has found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Finding {
    /// A tone of the network or of a fax machine.
    Tone(ToneHeard),
    /// Who answered; or that the person was a machine after all.
    Judged(Judgement),
    /// A beep, and its end.
    Beep(BeepHeard),
}

/// Follows one leg.
#[derive(Clone, Debug)]
pub struct Listener {
    targets: Targets,
    ear: Ear,
    progress: CallProgress,
    beep: Beep,
    /// From the answer on.
    machine: Option<Machine>,
}

impl Listener {
    /// Listens to a leg that is not answered yet.
    pub fn new(targets: Targets) -> Listener {
        Listener {
            targets,
            ear: Ear::default(),
            progress: CallProgress::default(),
            beep: Beep::default(),
            machine: None,
        }
    }

    /// The leg was answered, after it had rung for `rang_ms` if that is known. Asks who it is from now on.
    pub fn answered(&mut self, rang_ms: Option<u32>) {
        if self.machine.is_none() {
            self.machine = Some(Machine::new(self.targets, rang_ms));
        }
    }

    /// Whether the question who answered has been asked and is settled for good.
    pub fn is_settled(&self) -> bool {
        self.machine.as_ref().is_some_and(Machine::is_done)
    }

    /// Where the greeting of whoever answered lies, as far as it is known by now; ask after every packet.
    pub fn greeting(&self) -> Greeting {
        let machine = self.machine.as_ref();
        machine.map(Machine::greeting).unwrap_or_default()
    }

    /// The far end has hung up, or would now, and nothing more will be known: that whoever was handed over
    /// was a machine, if so. Ask after every packet.
    pub fn gone(&self) -> Option<Judgement> {
        self.machine.as_ref().and_then(Machine::gone)
    }

    /// The odds as they are now and what they are made of, once the leg is answered.
    pub fn evidence(&self) -> Option<Evidence> {
        self.machine.as_ref().map(Machine::evidence)
    }

    /// Takes samples of any number and hands each finding to `find`.
    pub fn samples(&mut self, samples: &[i16], mut find: impl FnMut(Finding)) {
        let (progress, beep, machine) = (&mut self.progress, &mut self.beep, &mut self.machine);
        self.ear.samples(samples, |frame| {
            hear(progress, beep, machine, &frame, &mut find);
        });
    }

    /// Says that `frames` of 20 ms were lost; more than [`LOST_FRAMES_MAX`] count as that many.
    pub fn lost(&mut self, frames: u32, mut find: impl FnMut(Finding)) {
        for _ in 0..frames.min(LOST_FRAMES_MAX) {
            let frame = self.ear.lost();
            hear(
                &mut self.progress,
                &mut self.beep,
                &mut self.machine,
                &frame,
                &mut find,
            );
        }
    }
}

fn hear(
    progress: &mut CallProgress,
    beep: &mut Beep,
    machine: &mut Option<Machine>,
    frame: &Frame,
    find: &mut impl FnMut(Finding),
) {
    if let Some(heard) = progress.frame(frame) {
        find(Finding::Tone(heard));
    }
    // Before the answer nobody beeps; single sounds are the network's.
    if let Some(machine) = machine {
        let heard = beep.frame(frame);
        if let Some(BeepHeard::Ended { .. }) = heard {
            machine.beep();
        }
        if let Some(judgement) = machine.frame(frame.level_dbm0, progress.steady_ms()) {
            find(Finding::Judged(judgement));
        }
        if let Some(heard) = heard {
            find(Finding::Beep(heard));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_small() {
        assert!(size_of::<Listener>() <= 2048, "{}", size_of::<Listener>());
    }
}
