//! The usual open detector, for comparison, from a description of its defaults: a frame is sound if
//! its mean amplitude is 256 or more; 800 ms of silence after the greeting make a person, 1.5 s of
//! greeting a machine; 2.5 s without a word a machine too; after 5 s it is not sure.

use super::{Call, Said};
use media::detect::Who;

const AMPLITUDE_MIN: i32 = 256;
const SILENCE_AFTER_MS: u32 = 800;
const GREETING_MS: u32 = 1_500;
const SILENCE_BEFORE_MS: u32 = 2_500;
const TOTAL_MS: u32 = 5_000;
/// Sound shorter than this is no word.
const WORD_MS: u32 = 100;
/// Silence longer than this parts two words.
const BETWEEN_MS: u32 = 50;

pub fn judge(call: &Call) -> Said {
    let (mut greeting, mut silent, mut word) = (0u32, 0u32, 0u32);
    let mut first = None;
    for (n, packet) in call.packets.iter().enumerate() {
        let at_ms = 20 * (n as u32 + 1);
        let sound = packet.as_ref().is_some_and(|samples| {
            let sum: i32 = samples.iter().map(|x| i32::from(*x).abs()).sum();
            sum / samples.len().max(1) as i32 >= AMPLITUDE_MIN
        });
        if sound {
            silent = 0;
            word += 20;
            if word >= WORD_MS || greeting > 0 {
                greeting += if greeting == 0 { word } else { 20 };
            }
        } else {
            silent += 20;
            if silent > BETWEEN_MS {
                word = 0;
            }
        }
        let verdict = if greeting >= GREETING_MS {
            Some(Who::Machine)
        } else if greeting > 0 && silent >= SILENCE_AFTER_MS {
            Some(Who::Person)
        } else if greeting == 0 && at_ms >= SILENCE_BEFORE_MS {
            Some(Who::Machine)
        } else {
            (at_ms >= TOTAL_MS).then_some(Who::Unsure)
        };
        if let Some(who) = verdict {
            first = Some((who, at_ms));
            break;
        }
    }
    Said {
        machine: call.machine,
        speech_ms: call.speech_ms,
        greeting_end_ms: call.greeting_end_ms,
        first,
        late_machine_ms: None,
        hung_up: call.is_hung_up(),
        judgement: None,
    }
}
