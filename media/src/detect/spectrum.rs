//! The spectral lines of a piece of audio: the two strongest, and how much of the sound they are.
//!
//! A discrete Fourier transform of 64 ms under a Hann window. Lines 40 Hz apart (ringback 440 + 480)
//! are told apart; a lone sine is measured to about 1 Hz and 0.5 dB.

use crate::SAMPLE_RATE;

/// Samples looked at together: 64 ms. Half as many could not part 440 from 480 Hz; twice as many
/// would not fit into a beep of 120 ms.
pub const WINDOW: usize = 512;

/// Lines are looked for between these, in Hz: hum below is none, and telephone tones end at 2100.
pub const BAND: (f32, f32) = (280.0, 2350.0);

/// A line and what the window spreads of it: this many bins on each side.
const LOBE: usize = 2;

const HALF: usize = WINDOW / 2;
const BIN_HZ: f32 = SAMPLE_RATE as f32 / WINDOW as f32;

/// One sine in the sound.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Line {
    /// Its frequency.
    pub hz: f32,
    /// Its mean power, in squared sample units.
    pub power: f32,
}

/// What a window of sound is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Lines {
    /// The strongest line of the band.
    pub first: Line,
    /// The strongest but one; without power if there is none.
    pub second: Line,
    /// The share of all power that the first line holds, 0 to 1.
    pub share_one: f32,
    /// The share that both hold together.
    pub share_two: f32,
}

/// `sin(2πi/WINDOW)` for a whole turn, made at compile time.
static SINE: [f32; WINDOW] = {
    let mut table = [0f32; WINDOW];
    let mut i = 0;
    while i < WINDOW {
        table[i] = sine(core::f64::consts::TAU * i as f64 / WINDOW as f64) as f32;
        i += 1;
    }
    table
};

/// The sine of 0 to 2π by its series, exact to more digits than an `f32` has.
const fn sine(x: f64) -> f64 {
    let x = core::f64::consts::PI - x;
    let (mut term, mut sum, mut n) = (x, x, 1.0);
    while n < 30.0 {
        term *= -x * x / ((n + 1.0) * (n + 2.0));
        sum += term;
        n += 2.0;
    }
    sum
}

fn turn(i: usize) -> (f32, f32) {
    (
        SINE[(i + WINDOW / 4) % WINDOW],
        -SINE[i % WINDOW], // e^(−jωi)
    )
}

/// Measures the lines in `samples`, oldest first.
pub fn lines(samples: &[i16; WINDOW]) -> Lines {
    let mut re = [0f32; HALF];
    let mut im = [0f32; HALF];
    let mut total = 0f32;
    for i in 0..HALF {
        let windowed = |n: usize| {
            let hann = 0.5 - 0.5 * SINE[(n + WINDOW / 4) % WINDOW];
            f32::from(samples[n]) * hann
        };
        let (even, odd) = (windowed(2 * i), windowed(2 * i + 1));
        total += even * even + odd * odd;
        // Even and odd samples as one complex signal of half the length, in bit-reversed order.
        let at = i.reverse_bits() >> (usize::BITS - HALF.trailing_zeros());
        (re[at], im[at]) = (even, odd);
    }
    transform(&mut re, &mut im);
    // Scaled so that a sine of amplitude A has A²/2 summed over its lobe.
    let scale = 16.0 / 3.0 / (WINDOW * WINDOW) as f32;
    let total = total / (0.375 * WINDOW as f32);
    let low = (BAND.0 / BIN_HZ) as usize;
    let high = (BAND.1 / BIN_HZ) as usize;
    let mut power = [0f32; HALF];
    for (k, p) in power.iter_mut().enumerate().take(high + 3).skip(low - 3) {
        *p = bin_power(&re, &im, k) * scale;
    }
    let mut best = low;
    for k in low..=high {
        if power[k] > power[best] {
            best = k;
        }
    }
    if total <= 0.0 || power[best] <= 0.0 {
        return Lines::default();
    }
    let first = line(&power, best);
    let mut second = Line::default();
    let mut second_at = None;
    for k in low..=high {
        let apart = k.abs_diff(best) >= 2;
        if apart
            && power[k] > power[k - 1]
            && power[k] >= power[k + 1]
            && second_at.is_none_or(|at: usize| power[k] > power[at])
        {
            second_at = Some(k);
            second = line(&power, k);
        }
    }
    let near = |at: usize, k: usize| k.abs_diff(at) <= LOBE;
    let sum = |inside: &dyn Fn(usize) -> bool| -> f32 {
        (low - 3..high + 3)
            .filter(|k| inside(*k))
            .map(|k| power[k])
            .sum()
    };
    let share_one = sum(&|k| near(best, k)) / total;
    let share_two = match second_at {
        Some(at) => sum(&|k| near(best, k) || near(at, k)) / total,
        None => share_one,
    };
    Lines {
        first,
        second,
        share_one: share_one.min(1.0),
        share_two: share_two.min(1.0),
    }
}

/// The line around the peak at bin `k`: a parabola through the logarithms of three bins.
fn line(power: &[f32; HALF], k: usize) -> Line {
    let log = |p: f32| (p + 1e-6).ln();
    let (l, c, r) = (log(power[k - 1]), log(power[k]), log(power[k + 1]));
    let bend = l - 2.0 * c + r;
    let shift = if bend < 0.0 {
        (0.5 * (l - r) / bend).clamp(-0.5, 0.5)
    } else {
        0.0
    };
    let peak = (c - 0.25 * (l - r) * shift).exp();
    Line {
        hz: (k as f32 + shift) * BIN_HZ,
        // The peak bin of a Hann window holds two thirds of what its lobe sums to.
        power: 1.5 * peak,
    }
}

/// `|X_k|²` of the real signal, from the transform of its folded half.
fn bin_power(re: &[f32; HALF], im: &[f32; HALF], k: usize) -> f32 {
    let (a, b) = (k % HALF, (HALF - k) % HALF);
    let (even_re, even_im) = (0.5 * (re[a] + re[b]), 0.5 * (im[a] - im[b]));
    let (odd_re, odd_im) = (0.5 * (im[a] + im[b]), 0.5 * (re[b] - re[a]));
    let (c, s) = turn(k);
    let x = even_re + c * odd_re - s * odd_im;
    let y = even_im + c * odd_im + s * odd_re;
    x * x + y * y
}

/// Decimation in time, radix 2, over input in bit-reversed order.
fn transform(re: &mut [f32; HALF], im: &mut [f32; HALF]) {
    let mut half = 1;
    while half < HALF {
        let step = WINDOW / (2 * half);
        for start in (0..HALF).step_by(2 * half) {
            for i in 0..half {
                let (c, s) = turn(i * step);
                let (a, b) = (start + i, start + i + half);
                let (x, y) = (c * re[b] - s * im[b], c * im[b] + s * re[b]);
                (re[b], im[b]) = (re[a] - x, im[a] - y);
                (re[a], im[a]) = (re[a] + x, im[a] + y);
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone::tone;

    fn window(parts: &[(f32, f32)]) -> [i16; WINDOW] {
        let samples = tone(parts, 200);
        *samples[400..].first_chunk().unwrap()
    }

    #[test]
    fn a_sine_is_measured_in_frequency_and_power() {
        for hz in [300.0, 425.0, 437.3, 1000.0, 1004.0, 1776.7, 2100.0] {
            let found = lines(&window(&[(hz, 6000.0)]));
            assert!((found.first.hz - hz).abs() < 1.5, "{hz} {found:?}");
            let db = 10.0 * (found.first.power / 18e6).log10();
            assert!(db.abs() < 0.5, "{hz} {db}");
            assert!(found.share_one > 0.98, "{hz} {found:?}");
            assert!(found.second.power < found.first.power / 200.0, "{found:?}");
        }
    }

    #[test]
    fn tones_of_two_lines_show_both() {
        for (low, high) in [
            (440.0, 480.0),
            (400.0, 450.0),
            (350.0, 440.0),
            (480.0, 620.0),
        ] {
            for offset in 0..20 {
                let samples = tone(&[(low, 4000.0), (high, 4000.0)], 300);
                let found = lines(samples[400 + 40 * offset..].first_chunk().unwrap());
                let (a, b) = (found.first, found.second);
                let (l, h) = if a.hz < b.hz { (a, b) } else { (b, a) };
                assert!((l.hz - low).abs() < 8.0, "{low} {high} {found:?}");
                assert!((h.hz - high).abs() < 8.0, "{low} {high} {found:?}");
                assert!(b.power > a.power / 4.0, "{found:?}");
                assert!(found.share_two > 0.95, "{found:?}");
            }
        }
    }

    #[test]
    fn silence_has_no_lines() {
        assert_eq!(lines(&[0; WINDOW]), Lines::default());
        // A constant is no line either: it lies outside of the band.
        assert!(lines(&[5000; WINDOW]).share_one < 0.01);
    }
}
