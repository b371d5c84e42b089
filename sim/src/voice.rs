//! Persons who answered and hear a recorded voice: some press a key, some hang up, most do neither.

use crate::happens::Happens;
use crate::world::World;
use model::LegId;

impl World {
    /// The voice begins to speak. A machine hears it through. Gives how long the message lasts.
    pub(crate) fn hears_voice(&mut self, leg: LegId, epoch: u32, machine: bool) -> f64 {
        let voice = self.setting.people.voice;
        if machine {
            return voice.message_s;
        }
        let rng = &mut self.caller_rng;
        let what = rng.unit();
        let (press, opt_out) = (voice.press_share, voice.opt_out_share);
        if what < press {
            let wait = voice.press_after.draw(rng);
            self.later_s(wait, Happens::PressesDigit(leg, '1'));
        } else if what < press + opt_out {
            let wait = voice.press_after.draw(rng);
            self.later_s(wait, Happens::PressesDigit(leg, '9'));
        } else if what < press + opt_out + voice.hang_up_share {
            let wait = voice.message_s * rng.unit();
            self.later_s(wait, Happens::CustomerHangsUp(leg, epoch));
        }
        voice.message_s
    }
}
