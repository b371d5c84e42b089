//! Prompts by name: WAV files under one folder, and a few that are built in.
//!
//! Each is read once and shared. A name never leaves the folder: its parts are letters, digits, `_`,
//! `-` and `.`, not beginning with a dot, and links that point outside are refused. So that a first
//! start needs no file at all, `music`, `beep`, the call progress tones and the digits exist without.

use media::{Clip, tone, wav};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// Longest name of a prompt in bytes.
pub const PROMPT_NAME_MAX: usize = 128;

/// What exists without a file.
pub const BUILT_IN: [&str; 17] = [
    "music",
    "confirm",
    "beep",
    "ringback",
    "busy",
    "congestion",
    "digits/0",
    "digits/1",
    "digits/2",
    "digits/3",
    "digits/4",
    "digits/5",
    "digits/6",
    "digits/7",
    "digits/8",
    "digits/9",
    "silence",
];

/// Why there is no such prompt.
#[derive(Debug, Error)]
pub enum PromptError {
    /// The name cannot be one.
    #[error(
        "{0:?} cannot be a prompt's name: letters, digits, '_', '-', '.', and '/' between folders"
    )]
    Name(String),
    /// Neither a file nor built in.
    #[error("there is no prompt {name:?}: put {file} there")]
    Missing {
        /// As asked for.
        name: String,
        /// The file that would be it.
        file: PathBuf,
    },
    /// The file is a link that leads out of the prompts' folder.
    #[error("the prompt {name:?} leads out of its folder, to {file}; copy the file into it")]
    Outside {
        /// As asked for.
        name: String,
        /// Where it leads.
        file: PathBuf,
    },
    /// The file cannot be played.
    #[error(transparent)]
    Wav(#[from] wav::WavError),
}

/// All prompts read so far.
#[derive(Debug, Default)]
pub struct PromptLibrary {
    root: Option<PathBuf>,
    clips: BTreeMap<String, Arc<Clip>>,
    embedded: BTreeMap<String, Arc<Clip>>,
}

impl PromptLibrary {
    /// Prompts under `root`; without it only what is built in.
    pub fn new(root: Option<PathBuf>) -> PromptLibrary {
        PromptLibrary {
            root,
            clips: BTreeMap::new(),
            embedded: BTreeMap::new(),
        }
    }

    /// The prompt `name`: `root/name.wav` if it exists, else the built-in of that name. Reads a file
    /// the first time; afterwards it costs a look-up.
    ///
    /// # Errors
    /// See [`PromptError`].
    pub fn get(&mut self, name: &str) -> Result<Arc<Clip>, PromptError> {
        if let Some(clip) = self.clips.get(name) {
            return Ok(clip.clone());
        }
        let clip = Arc::new(self.load(name)?);
        self.clips.insert(name.to_owned(), clip.clone());
        Ok(clip)
    }

    /// Adds a prompt that is carried in the binary; a file of that name under the root still wins.
    pub fn add(&mut self, name: &str, clip: Clip) {
        self.embedded.insert(name.to_owned(), Arc::new(clip));
    }

    /// Forgets what was read, so that changed files are read anew. What plays goes on.
    pub fn reload(&mut self) {
        self.clips.clear();
    }

    fn load(&self, name: &str) -> Result<Clip, PromptError> {
        if !valid(name) {
            return Err(PromptError::Name(
                name.chars().take(PROMPT_NAME_MAX).collect(),
            ));
        }
        let relative = format!("{name}.wav");
        if let Some(root) = &self.root {
            let file = root.join(&relative);
            if file.exists() {
                inside(root, &file, name)?;
                return Ok(wav::read_clip(&file)?);
            }
        }
        if let Some(clip) = self.embedded.get(name) {
            return Ok(Clip {
                ulaw: clip.ulaw.clone(),
                alaw: clip.alaw.clone(),
            });
        }
        built_in(name)
            .map(|samples| Clip::from_samples(&samples))
            .ok_or_else(|| PromptError::Missing {
                name: name.to_owned(),
                file: self.root.clone().unwrap_or_default().join(relative),
            })
    }
}

fn valid(name: &str) -> bool {
    let part = |p: &str| {
        !p.is_empty()
            && !p.starts_with('.')
            && p.bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
    };
    name.len() <= PROMPT_NAME_MAX && name.split('/').all(part)
}

fn inside(root: &Path, file: &Path, name: &str) -> Result<(), PromptError> {
    let io = |path: &Path, source| wav::WavError::Io {
        file: path.to_owned(),
        source,
    };
    let root = root.canonicalize().map_err(|e| io(root, e))?;
    let real = file.canonicalize().map_err(|e| io(file, e))?;
    if real.starts_with(&root) {
        Ok(())
    } else {
        Err(PromptError::Outside {
            name: name.to_owned(),
            file: real,
        })
    }
}

fn built_in(name: &str) -> Option<Vec<i16>> {
    match name {
        "music" => Some(tone::hold_tune()),
        "beep" => Some(tone::beep()),
        "confirm" => Some(counted(2)),
        "silence" => Some(tone::silence(1000)),
        "ringback" => Some(tone::progress(tone::Progress::Ringback)),
        "busy" => Some(tone::progress(tone::Progress::Busy)),
        "congestion" => Some(tone::progress(tone::Progress::Congestion)),
        _ => {
            let digit: u32 = name
                .strip_prefix("digits/")?
                .parse()
                .ok()
                .filter(|d| *d < 10)?;
            Some(counted(digit))
        }
    }
}

/// A digit as that many short beeps; zero is one long low one.
fn counted(digit: u32) -> Vec<i16> {
    let mut samples = Vec::new();
    if digit == 0 {
        samples.extend(tone::tone(&[(500.0, 6000.0)], 500));
    }
    for _ in 0..digit {
        samples.extend(tone::tone(&[(1000.0, 6000.0)], 100));
        samples.extend(tone::silence(100));
    }
    samples.extend(tone::silence(300));
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_exists_and_is_made_once() {
        let mut library = PromptLibrary::new(None);
        for name in BUILT_IN {
            let clip = library.get(name).unwrap();
            assert!(
                clip.samples() > 1000 && clip.ulaw.len() == clip.alaw.len(),
                "{name}"
            );
            assert!(Arc::ptr_eq(&clip, &library.get(name).unwrap()));
        }
        assert_eq!(library.get("digits/3").unwrap().samples(), 3 * 1600 + 2400);
    }

    #[test]
    fn a_name_that_leaves_the_folder_is_refused() {
        let mut library = PromptLibrary::new(Some(PathBuf::from("prompts")));
        for name in [
            "../x",
            "a/../b",
            "/etc/x",
            "",
            "a//b",
            ".x",
            "a b",
            "a\0",
            "ä",
            &"x".repeat(200),
        ] {
            assert!(
                matches!(library.get(name), Err(PromptError::Name(_))),
                "{name:?}"
            );
        }
        let missing = library.get("de/hello").unwrap_err();
        assert!(matches!(missing, PromptError::Missing { .. }));
        assert!(missing.to_string().contains("prompts/de/hello.wav"));
    }

    #[test]
    fn a_file_comes_before_a_built_in_and_a_link_out_is_refused() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let write = |path: PathBuf| {
            let mut writer = wav::TwoChannelWriter::create(&path).unwrap();
            writer.write(&[100; 400], &[100; 400]).unwrap();
            writer.finish().unwrap();
        };
        write(root.path().join("beep.wav"));
        write(outside.path().join("secret.wav"));
        std::os::unix::fs::symlink(
            outside.path().join("secret.wav"),
            root.path().join("link.wav"),
        )
        .unwrap();
        std::fs::write(root.path().join("text.wav"), "no audio").unwrap();
        let mut library = PromptLibrary::new(Some(root.path().to_owned()));
        assert_eq!(library.get("beep").unwrap().samples(), 400);
        assert!(matches!(
            library.get("link"),
            Err(PromptError::Outside { .. })
        ));
        assert!(matches!(library.get("text"), Err(PromptError::Wav(_))));
    }
}
