//! Where configuration is read from: a folder, or what is embedded in the binary.

use crate::media_io::prompts::PromptLibrary;
use media::Clip;
use media::wav::WavError;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A place that holds the files.
#[derive(Clone, Debug)]
pub enum Source {
    /// A folder on disk, and the name of the file in it that stands for `tandem.toml`.
    Folder {
        /// The folder.
        root: PathBuf,
        /// Usually [`MAIN_FILE`].
        main: String,
    },
    /// The defaults that the binary carries.
    Embedded,
}

/// The file that describes the process.
pub const MAIN_FILE: &str = "tandem.toml";

/// The files under `config/` as they were when this was built: name and content.
pub const EMBEDDED: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

impl Source {
    /// A folder, or a file in a folder that stands for its `tandem.toml`.
    pub fn of_path(path: &Path) -> Source {
        let main = || {
            path.file_name()
                .map(|name| name.to_string_lossy().into_owned())
        };
        match main() {
            Some(main) if !path.is_dir() => {
                let root = path.parent().map(Path::to_path_buf).unwrap_or_default();
                Source::Folder { root, main }
            }
            Some(_) | None => Source::Folder {
                root: path.to_path_buf(),
                main: MAIN_FILE.into(),
            },
        }
    }

    /// Where a file is on disk.
    fn path(root: &Path, main: &str, file: &str) -> PathBuf {
        root.join(if file == MAIN_FILE { main } else { file })
    }

    /// The text of a file.
    pub fn read(&self, file: &str) -> Result<String, String> {
        match self {
            Source::Folder { root, main } => {
                std::fs::read_to_string(Source::path(root, main, file))
                    .map_err(|error| error.to_string())
            }
            Source::Embedded => self
                .read_bytes(file)
                .ok_or_else(|| "not embedded".to_string())
                .and_then(|bytes| String::from_utf8(bytes).map_err(|error| error.to_string())),
        }
    }

    /// The bytes of a file.
    pub fn read_bytes(&self, file: &str) -> Option<Vec<u8>> {
        match self {
            Source::Folder { root, main } => std::fs::read(Source::path(root, main, file)).ok(),
            Source::Embedded => EMBEDDED
                .iter()
                .find(|(name, _)| *name == file)
                .map(|(_, bytes)| bytes.to_vec()),
        }
    }

    /// The names, without extension, of the files with `extension` in `folder`, sorted.
    pub fn list(&self, folder: &str, extension: &str) -> Vec<String> {
        let suffix = format!(".{extension}");
        let mut names: Vec<String> = match self {
            Source::Folder { root, .. } => std::fs::read_dir(root.join(folder))
                .into_iter()
                .flatten()
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .filter_map(|name| name.strip_suffix(&suffix).map(str::to_string))
                .collect(),
            Source::Embedded => EMBEDDED
                .iter()
                .filter_map(|(name, _)| {
                    name.strip_prefix(folder)?
                        .strip_prefix('/')?
                        .strip_suffix(&suffix)
                })
                .map(str::to_string)
                .collect(),
        };
        names.sort();
        names
    }

    /// Every prompt by name, the built-in ones included.
    pub fn prompts(&self) -> BTreeSet<String> {
        let mut names: BTreeSet<String> = self.list("prompts", "wav").into_iter().collect();
        for folder in self.folders("prompts") {
            names.extend(
                self.list(&format!("prompts/{folder}"), "wav")
                    .into_iter()
                    .map(|name| format!("{folder}/{name}")),
            );
        }
        names.extend(
            crate::media_io::prompts::BUILT_IN
                .iter()
                .map(|name| name.to_string()),
        );
        names
    }

    /// What can be played: files under `prompts/`, and what the binary carries.
    pub fn prompt_library(&self) -> Result<PromptLibrary, WavError> {
        match self {
            Source::Folder { root, .. } => Ok(PromptLibrary::new(Some(root.join("prompts")))),
            Source::Embedded => {
                let mut library = PromptLibrary::new(None);
                for (file, bytes) in EMBEDDED {
                    if let Some(name) = file
                        .strip_prefix("prompts/")
                        .and_then(|name| name.strip_suffix(".wav"))
                    {
                        let samples = media::wav::read_samples(*bytes, Path::new(file))?;
                        library.add(name, Clip::from_samples(&samples));
                    }
                }
                Ok(library)
            }
        }
    }

    /// A file's name as the operator knows it.
    pub fn display(&self, file: &str) -> String {
        match self {
            Source::Folder { root, main } => Source::path(root, main, file).display().to_string(),
            Source::Embedded => format!("embedded:{file}"),
        }
    }

    fn folders(&self, under: &str) -> Vec<String> {
        let mut names: Vec<String> = match self {
            Source::Folder { root, .. } => std::fs::read_dir(root.join(under))
                .into_iter()
                .flatten()
                .filter_map(|entry| {
                    let entry = entry.ok()?;
                    entry
                        .file_type()
                        .ok()?
                        .is_dir()
                        .then(|| entry.file_name().into_string().ok())?
                })
                .collect(),
            Source::Embedded => EMBEDDED
                .iter()
                .filter_map(|(name, _)| {
                    name.strip_prefix(under)?.strip_prefix('/')?.split_once('/')
                })
                .map(|(folder, _)| folder.to_string())
                .collect(),
        };
        names.sort();
        names.dedup();
        names
    }
}
