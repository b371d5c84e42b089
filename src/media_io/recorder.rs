//! The writer thread of recordings: two-channel WAV files from blocks of encoded audio.
//!
//! Workers only copy a payload into a block and never wait. Decoding, aligning by timestamps and
//! clocks, filling in silence, and the disk happen here.

use super::{Report, Reporter, now_us};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use media::jitter::JitterBuffer;
use media::wav::TwoChannelWriter;
use media::{Codec, FRAME_SAMPLES, g711};
use model::RecordingId;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long audio waits for packets that come late. Nobody listens live, so it is generous; the ring
/// of the jitter buffer holds five times as much.
const DELAY_MS: u32 = 200;

/// How often what is due goes to the file.
const WRITE_INTERVAL_US: u64 = 100_000;

/// What the workers say. A block is part of the message, so the channel is the pool of blocks.
pub(super) enum ToRecorder {
    Begin {
        recording: RecordingId,
        file: PathBuf,
        at_us: u64,
    },
    Audio(Block),
    End {
        recording: RecordingId,
        at_us: u64,
        dropped: u64,
    },
}

/// Up to 20 ms of what one leg sent.
pub(super) struct Block {
    pub(super) recording: RecordingId,
    /// The right channel; else the left.
    pub(super) right: bool,
    pub(super) codec: Codec,
    pub(super) at_us: u64,
    pub(super) ssrc: u32,
    pub(super) timestamp: u32,
    pub(super) len: u8,
    pub(super) bytes: [u8; FRAME_SAMPLES],
}

struct Recording {
    file: PathBuf,
    writer: TwoChannelWriter<BufWriter<File>>,
    left: JitterBuffer,
    right: JitterBuffer,
}

pub(super) struct Recorder {
    blocks: Receiver<ToRecorder>,
    reporter: Reporter,
    recordings: BTreeMap<RecordingId, Recording>,
    written_us: u64,
    /// When the newest block arrived.
    heard_us: u64,
}

impl Recorder {
    pub(super) fn new(blocks: Receiver<ToRecorder>, reporter: Reporter) -> Recorder {
        Recorder {
            blocks,
            reporter,
            recordings: BTreeMap::new(),
            written_us: 0,
            heard_us: 0,
        }
    }

    /// Runs until every worker has ended; then finishes all files.
    pub(super) fn run(mut self) {
        loop {
            let idle = self.recordings.is_empty() && self.reporter.is_empty();
            let message = if idle {
                self.blocks
                    .recv()
                    .map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                self.blocks
                    .recv_timeout(Duration::from_micros(WRITE_INTERVAL_US))
            };
            match message {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            // Behind a slow disk, time goes by the blocks: by the clock, audio that still waits in the
            // channel would be too late.
            let now = if self.blocks.is_empty() {
                now_us()
            } else {
                self.heard_us
            };
            if now >= self.written_us + WRITE_INTERVAL_US {
                self.written_us = now;
                self.write_due(now);
            }
            self.reporter.flush();
        }
        let now = now_us();
        for recording in self.recordings.keys().copied().collect::<Vec<_>>() {
            self.end(recording, now, 0);
        }
        self.reporter.flush();
    }

    fn take(&mut self, message: ToRecorder) {
        match message {
            ToRecorder::Begin {
                recording,
                file,
                at_us,
            } => match begin(&file, at_us) {
                Ok(begun) => {
                    self.recordings.insert(recording, begun);
                }
                Err(why) => self
                    .reporter
                    .report(Report::RecordFailed { recording, why }),
            },
            ToRecorder::Audio(block) => {
                self.heard_us = self.heard_us.max(block.at_us);
                // A recording that failed is gone; its blocks go with it.
                if let Some(recording) = self.recordings.get_mut(&block.recording) {
                    let mut samples = [0; FRAME_SAMPLES];
                    let bytes = &block.bytes[..usize::from(block.len).min(FRAME_SAMPLES)];
                    let n = g711::decode_into(block.codec, bytes, &mut samples);
                    let channel = if block.right {
                        &mut recording.right
                    } else {
                        &mut recording.left
                    };
                    channel.put(block.at_us, block.ssrc, block.timestamp, &samples[..n]);
                }
            }
            ToRecorder::End {
                recording,
                at_us,
                dropped,
            } => self.end(recording, at_us, dropped),
        }
    }

    fn write_due(&mut self, now_us: u64) {
        let mut failed = Vec::new();
        for (id, recording) in &mut self.recordings {
            if let Err(error) = recording.write_due(now_us) {
                failed.push((*id, format!("{}: {error}", recording.file.display())));
            }
        }
        for (recording, why) in failed {
            self.recordings.remove(&recording);
            self.reporter
                .report(Report::RecordFailed { recording, why });
        }
    }

    fn end(&mut self, id: RecordingId, at_us: u64, dropped: u64) {
        let Some(mut recording) = self.recordings.remove(&id) else {
            return;
        };
        if dropped > 0 {
            tracing::warn!(recording = %id, dropped, "the disk was too slow: blocks are silent in the recording");
        }
        let rest = recording.write_due(at_us + u64::from(DELAY_MS) * 1000);
        let report = match rest.and_then(|()| recording.writer.finish()) {
            Ok(seconds) => Report::Recorded {
                recording: id,
                file: recording.file,
                seconds,
            },
            Err(e) => Report::RecordFailed {
                recording: id,
                why: format!("{}: {e}", recording.file.display()),
            },
        };
        self.reporter.report(report);
    }
}

fn begin(file: &Path, at_us: u64) -> Result<Recording, String> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    let writer = TwoChannelWriter::create(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let channel = || JitterBuffer::new(at_us, DELAY_MS, DELAY_MS);
    Ok(Recording {
        file: file.to_owned(),
        writer,
        left: channel(),
        right: channel(),
    })
}

impl Recording {
    /// Both channels have the same clock and the same fixed delay, so the same is due on both.
    fn write_due(&mut self, now_us: u64) -> Result<(), hound::Error> {
        let (mut left, mut right) = ([0; FRAME_SAMPLES], [0; FRAME_SAMPLES]);
        let mut due = self.left.due(now_us);
        while due > 0 {
            let n = due.min(FRAME_SAMPLES as u64) as usize;
            self.left.take(&mut left[..n]);
            self.right.take(&mut right[..n]);
            self.writer.write(&left[..n], &right[..n])?;
            due -= n as u64;
        }
        Ok(())
    }
}
