//! WAV files: any PCM to a [`Clip`], and the two-channel recording.
//!
//! Reading takes 8 to 32 bits or float, mono or more, at any usual rate, and ends in 8 kHz mono;
//! what cannot be read is refused with the file's name and what to do about it. The recording keeps
//! its header right while it grows, so that a crash costs at most the last second.

use crate::{Clip, SAMPLE_RATE};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The longest clip: 20 minutes, 20 MB in memory. Longer audio belongs into pieces.
pub const CLIP_SECONDS_MAX: u32 = 1200;

/// Rates that are audio; others are a broken header.
const RATES: std::ops::RangeInclusive<u32> = 4_000..=192_000;

/// The most channels read; all are mixed to one.
const CHANNELS_MAX: u16 = 8;

/// Zero crossings of the resampling filter on each side: about 70 dB of stop band with the window.
const CROSSINGS: f64 = 24.0;

/// Pass band of the resampling filter, as a share of half the lower rate.
const PASS_BAND: f64 = 0.93;

/// Why a WAV file is not usable.
#[derive(Debug, Error)]
pub enum WavError {
    /// It cannot be opened or read.
    #[error("{file}: {source}; check that the file exists and may be read")]
    Io {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no WAV, or no PCM.
    #[error("{file}: {why}; convert it with: ffmpeg -i IN -ac 1 -ar 8000 -c:a pcm_s16le OUT.wav")]
    Format {
        /// Which file.
        file: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// There is nothing in it.
    #[error("{file}: it holds no audio; record it again")]
    Empty {
        /// Which file.
        file: PathBuf,
    },
    /// Longer than [`CLIP_SECONDS_MAX`].
    #[error(
        "{file}: it is longer than {CLIP_SECONDS_MAX} s; cut it into pieces and play them one after another"
    )]
    TooLong {
        /// Which file.
        file: PathBuf,
    },
}

/// Reads a WAV file into a clip.
///
/// # Errors
/// See [`WavError`]; each names the file and the remedy.
pub fn read_clip(file: &Path) -> Result<Clip, WavError> {
    let io = |source| WavError::Io {
        file: file.to_owned(),
        source,
    };
    let samples = read_samples(BufReader::new(File::open(file).map_err(io)?), file)?;
    Ok(Clip::from_samples(&samples))
}

/// Reads a WAV from anything, as 8 kHz mono samples; `file` is what errors call it.
///
/// # Errors
/// As [`read_clip`].
pub fn read_samples(reader: impl Read, file: &Path) -> Result<Vec<i16>, WavError> {
    let broken = |e: hound::Error| match e {
        hound::Error::IoError(source) => WavError::Io {
            file: file.to_owned(),
            source,
        },
        e => WavError::Format {
            file: file.to_owned(),
            why: e.to_string(),
        },
    };
    let format = |why: String| WavError::Format {
        file: file.to_owned(),
        why,
    };
    let mut wav = hound::WavReader::new(reader).map_err(broken)?;
    let spec = wav.spec();
    if !RATES.contains(&spec.sample_rate) {
        return Err(format(format!(
            "{} samples per second cannot be",
            spec.sample_rate
        )));
    }
    if spec.channels == 0 || spec.channels > CHANNELS_MAX {
        return Err(format(format!("{} channels cannot be", spec.channels)));
    }
    let frames_max = spec.sample_rate as usize * CLIP_SECONDS_MAX as usize;
    let mut mono = Mono::new(usize::from(spec.channels));
    let too_long = |mono: &Mono| mono.frames.len() > frames_max;
    match spec.sample_format {
        hound::SampleFormat::Float => {
            for sample in wav.samples::<f32>() {
                let sample = sample.map_err(broken)?;
                mono.push(if sample.is_finite() { sample } else { 0.0 });
                if too_long(&mono) {
                    return Err(WavError::TooLong {
                        file: file.to_owned(),
                    });
                }
            }
        }
        hound::SampleFormat::Int => {
            let full = (1u64 << (spec.bits_per_sample.clamp(1, 32) - 1)) as f32;
            for sample in wav.samples::<i32>() {
                mono.push(sample.map_err(broken)? as f32 / full);
                if too_long(&mono) {
                    return Err(WavError::TooLong {
                        file: file.to_owned(),
                    });
                }
            }
        }
    }
    if mono.frames.is_empty() {
        return Err(WavError::Empty {
            file: file.to_owned(),
        });
    }
    let frames = resample(mono.frames, spec.sample_rate, SAMPLE_RATE);
    Ok(frames
        .into_iter()
        .map(|s| (s * 32768.0).round().clamp(-32768.0, 32767.0) as i16)
        .collect())
}

/// Mixes interleaved channels to one.
struct Mono {
    channels: usize,
    filled: usize,
    sum: f32,
    frames: Vec<f32>,
}

impl Mono {
    fn new(channels: usize) -> Mono {
        Mono {
            channels,
            filled: 0,
            sum: 0.0,
            frames: Vec::new(),
        }
    }

    fn push(&mut self, sample: f32) {
        self.sum += sample;
        self.filled += 1;
        if self.filled == self.channels {
            self.frames.push(self.sum / self.channels as f32);
            (self.filled, self.sum) = (0, 0.0);
        }
    }
}

/// Changes the rate with a windowed sinc, one set of taps per phase. Offline: this costs some
/// milliseconds per second of audio.
fn resample(input: Vec<f32>, from: u32, to: u32) -> Vec<f32> {
    if from == to {
        return input;
    }
    let divisor = gcd(from, to);
    let (phases, step) = ((to / divisor) as usize, (from / divisor) as usize);
    // In units of input samples: the filter's cutoff and half its length.
    let cutoff = PASS_BAND * (f64::from(to) / f64::from(from)).min(1.0);
    let half = (CROSSINGS / cutoff).ceil() as isize;
    let taps: Vec<Vec<f32>> = (0..phases)
        .map(|p| phase_taps(p as f64 / phases as f64, half, cutoff))
        .collect();
    let len = input.len() * phases / step;
    (0..len.max(1))
        .map(|i| {
            let position = i * step;
            let first = (position / phases) as isize - half + 1;
            let taps = &taps[position % phases];
            let skip = (-first).max(0) as usize;
            let from = (first + skip as isize) as usize;
            input
                .iter()
                .skip(from)
                .zip(taps.iter().skip(skip))
                .map(|(x, t)| x * t)
                .sum()
        })
        .collect()
}

/// Taps for the inputs `1 - half ..= half` around a point `fraction` behind input 0; they sum to 1.
fn phase_taps(fraction: f64, half: isize, cutoff: f64) -> Vec<f32> {
    let weights: Vec<f64> = (1 - half..=half)
        .map(|k| {
            let x = k as f64 - fraction;
            let sinc = if x == 0.0 {
                1.0
            } else {
                (std::f64::consts::PI * cutoff * x).sin() / (std::f64::consts::PI * cutoff * x)
            };
            // Blackman: −74 dB side lobes.
            let w = std::f64::consts::PI * x / half as f64;
            let window = if x.abs() >= half as f64 {
                0.0
            } else {
                0.42 + 0.5 * w.cos() + 0.08 * (2.0 * w).cos()
            };
            sinc * window
        })
        .collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|w| (w / sum) as f32).collect()
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// A growing two-channel recording, 8 kHz and 16 bits: 115 MB an hour.
pub struct TwoChannelWriter<W: Write + Seek> {
    wav: hound::WavWriter<W>,
    frames: u64,
    since_header: u32,
}

impl TwoChannelWriter<BufWriter<File>> {
    /// Begins a file that must not exist yet: a recording never overwrites another.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(file: &Path) -> Result<Self, hound::Error> {
        TwoChannelWriter::new(BufWriter::new(File::create_new(file)?))
    }
}

impl<W: Write + Seek> TwoChannelWriter<W> {
    /// Begins a recording in anything.
    ///
    /// # Errors
    /// What writing the header says.
    pub fn new(writer: W) -> Result<Self, hound::Error> {
        let spec = hound::WavSpec {
            channels: 2,
            sample_rate: SAMPLE_RATE,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut wav = hound::WavWriter::new(writer, spec)?;
        wav.flush()?;
        Ok(TwoChannelWriter {
            wav,
            frames: 0,
            since_header: 0,
        })
    }

    /// Appends frames; the shorter of the two slices counts. Once a second of audio the header is
    /// brought up to date.
    ///
    /// # Errors
    /// What writing says; the file is then playable up to the last header.
    pub fn write(&mut self, left: &[i16], right: &[i16]) -> Result<(), hound::Error> {
        let frames = left.len().min(right.len());
        let mut samples = self.wav.get_i16_writer(2 * frames as u32);
        for (l, r) in left.iter().zip(right) {
            samples.write_sample(*l);
            samples.write_sample(*r);
        }
        samples.flush()?;
        self.frames += frames as u64;
        self.since_header += frames as u32;
        if self.since_header >= SAMPLE_RATE {
            self.since_header = 0;
            self.wav.flush()?;
        }
        Ok(())
    }

    /// Seconds written so far.
    pub fn seconds(&self) -> f64 {
        self.frames as f64 / f64::from(SAMPLE_RATE)
    }

    /// Ends the recording and returns its length in seconds.
    ///
    /// # Errors
    /// What writing says.
    pub fn finish(self) -> Result<f64, hound::Error> {
        let seconds = self.seconds();
        self.wav.finalize()?;
        Ok(seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtmf::goertzel::amplitude;
    use hound::{SampleFormat, WavSpec};
    use std::io::Cursor;

    fn wav(
        rate: u32,
        bits: u16,
        channels: u16,
        format: SampleFormat,
        sample: impl Fn(f64) -> f64,
    ) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let spec = WavSpec {
            channels,
            sample_rate: rate,
            bits_per_sample: bits,
            sample_format: format,
        };
        let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
        for i in 0..rate / 2 {
            let x = sample(f64::from(i) / f64::from(rate));
            for _ in 0..channels {
                match format {
                    SampleFormat::Float => writer.write_sample(x as f32).unwrap(),
                    SampleFormat::Int => {
                        let full = (1i64 << (bits - 1)) as f64 - 1.0;
                        writer.write_sample((x * full) as i32).unwrap();
                    }
                }
            }
        }
        writer.finalize().unwrap();
        bytes.into_inner()
    }

    fn sine(hz: f64) -> impl Fn(f64) -> f64 {
        move |t| 0.5 * (std::f64::consts::TAU * hz * t).sin()
    }

    #[test]
    fn every_usual_format_becomes_the_same_tone() {
        for rate in [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000] {
            for (bits, format) in [
                (8, SampleFormat::Int),
                (16, SampleFormat::Int),
                (24, SampleFormat::Int),
                (32, SampleFormat::Int),
                (32, SampleFormat::Float),
            ] {
                for channels in [1, 2] {
                    let bytes = wav(rate, bits, channels, format, sine(1000.0));
                    let samples = read_samples(Cursor::new(bytes), Path::new("x.wav")).unwrap();
                    assert!(
                        (3_999..=4_000).contains(&samples.len()),
                        "{rate} {}",
                        samples.len()
                    );
                    let a = amplitude(&samples[400..3600], 1000.0);
                    assert!(
                        (16_000.0..16_700.0).contains(&a),
                        "{rate} {bits} {channels}: {a}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_8_khz_cannot_carry_is_filtered_out() {
        // 5,300 Hz would come back as 2,700 Hz.
        let bytes = wav(48_000, 16, 1, SampleFormat::Int, sine(5_300.0));
        let samples = read_samples(Cursor::new(bytes), Path::new("x.wav")).unwrap();
        let a = amplitude(&samples[400..3600], 2_700.0);
        assert!(a < 16.0, "60 dB down, not {a}");
        let bytes = wav(48_000, 16, 1, SampleFormat::Int, sine(3_300.0));
        let samples = read_samples(Cursor::new(bytes), Path::new("x.wav")).unwrap();
        let a = amplitude(&samples[400..3600], 3_300.0);
        assert!(a > 15_500.0, "the band stays: {a}");
    }

    #[test]
    fn an_error_names_the_file_and_the_remedy() {
        let error =
            read_samples(Cursor::new(b"OggS....".to_vec()), Path::new("p/hello.wav")).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("p/hello.wav") && text.contains("ffmpeg"),
            "{text}"
        );
        let text = read_clip(Path::new("no/such.wav")).unwrap_err().to_string();
        assert!(
            text.contains("no/such.wav") && text.contains("exists"),
            "{text}"
        );
        let empty = wav(8000, 16, 1, SampleFormat::Int, sine(1.0))[..44].to_vec();
        assert!(read_samples(Cursor::new(empty), Path::new("e.wav")).is_err());
    }

    #[test]
    fn a_recording_is_playable_without_being_finished() {
        let mut bytes = Cursor::new(Vec::new());
        let mut writer = TwoChannelWriter::new(&mut bytes).unwrap();
        for _ in 0..60 {
            writer.write(&[1; 160], &[2; 160]).unwrap();
        }
        assert_eq!(writer.seconds(), 1.2);
        // A crash: nothing is finalized.
        std::mem::forget(writer);
        let mut reader = hound::WavReader::new(Cursor::new(bytes.into_inner())).unwrap();
        assert_eq!(reader.duration(), 8000);
        assert!(
            reader
                .samples::<i16>()
                .map(Result::unwrap)
                .take(16_000)
                .enumerate()
                .all(|(i, s)| s == 1 + (i as i16 & 1))
        );
    }

    #[test]
    fn a_finished_recording_has_all_its_frames_in_their_channels() {
        let mut bytes = Cursor::new(Vec::new());
        let mut writer = TwoChannelWriter::new(&mut bytes).unwrap();
        writer.write(&[1, 2, 3], &[4, 5, 6]).unwrap();
        assert_eq!(writer.finish().unwrap(), 3.0 / 8000.0);
        let reader = hound::WavReader::new(Cursor::new(bytes.into_inner())).unwrap();
        let samples: Vec<i16> = reader.into_samples().map(Result::unwrap).collect();
        assert_eq!(samples, [1, 4, 2, 5, 3, 6]);
    }
}
