//! One process per database: an exclusive lock that the kernel takes back however the process ends.

use super::StoreError;
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Held as long as it lives.
pub(super) struct Lock {
    _file: File,
}

/// Takes the lock of a database, or says who has it.
pub(super) fn take(database: &Path) -> Result<Lock, StoreError> {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    let path = PathBuf::from(name);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)?;
    if let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
        if error != rustix::io::Errno::WOULDBLOCK {
            return Err(std::io::Error::from(error).into());
        }
        let mut pid = String::new();
        file.read_to_string(&mut pid)?;
        return Err(StoreError::Locked {
            path,
            pid: pid.trim().to_string(),
        });
    }
    file.set_len(0)?;
    write!(file, "{}", std::process::id())?;
    Ok(Lock { _file: file })
}
