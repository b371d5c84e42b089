//! What must survive: leads and claims, records of calls, dispositions, do-not-call, webhooks to send.
//!
//! SQLite in WAL mode behind one thread. Requests come over a channel that never blocks the control
//! thread; everything that waits is committed in one transaction (group commit) and only then
//! answered, as inputs of the engine. A claim is durable before its `ClaimStored` is sent, and a
//! record that cannot be written now is kept and written in order later.

mod callbacks;
mod cells;
mod do_not_call;
mod dry_run;
mod history;
mod import;
mod last_boot;
mod leads;
#[cfg(test)]
mod list_tests;
mod lists;
mod lock;
pub mod outbox;
#[cfg(test)]
mod people_tests;
mod places;
mod quotas;
mod records;
mod recovery;
mod request;
#[cfg(test)]
mod restart_tests;
mod shelf;
mod sort;
#[cfg(test)]
mod tests;
mod work;

pub use callbacks::{CallbackError, CallbackTime, Promise};
pub use do_not_call::{
    DoNotCallError, DoNotCallList, DoNotCallReport, do_not_call_kind, import_do_not_call,
};
pub use dry_run::{FilterCount, UnreadableCell, UnreadableColumn, list_columns};
pub use history::History;
pub use import::{
    Dedupe, ImportError, ImportOptions, ImportReport, OnProgress, OnRejected, Progress,
    RejectedLine, Rejection, import_csv, import_leads,
};
pub use last_boot::settle;
pub use lists::{ListCounts, Lists};
pub use quotas::QuotaRow;
pub use request::StoreRequest;
pub use work::{GROUP_MAX, REQUESTS_MAX, StoreCounters, StoreHandle, StoreThread};

use model::{CampaignId, Now, PhoneNumber};
use serde::Deserialize;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection, SqliteConnection};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Reads both clocks of the machine. Handed down, so that a test has its own time.
pub type Clock = Arc<dyn Fn() -> Now + Send + Sync>;

/// `[store]` of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// The database file.
    #[serde(default = "default_path")]
    pub path: PathBuf,
    /// A lead whose attempt was cut off by a crash is dialled again after this many seconds, so that
    /// a person who was rung by the process that died is not rung again at once.
    #[serde(default = "default_unknown_retry_s")]
    pub unknown_retry_s: u32,
    /// A lead whose attempt was cut off by a crash is done once it was dialled this often.
    #[serde(default = "default_attempts_max")]
    pub unknown_attempts_max: u32,
    /// Campaigns with rules of their own for the two above: wait in seconds, and most attempts.
    #[serde(skip)]
    pub unknown_of: BTreeMap<CampaignId, (u32, u16)>,
    /// What campaigns dial by: their lists, their rules. Leads that these close now are not handed out.
    #[serde(skip)]
    pub dialer: dialer::Config,
    /// Wait this long for another writer (an import) before a write counts as failed, in ms.
    #[serde(default = "default_busy_ms")]
    pub busy_timeout_ms: u32,
}

fn default_path() -> PathBuf {
    "tandem.db".into()
}
fn default_unknown_retry_s() -> u32 {
    3_600
}
fn default_attempts_max() -> u32 {
    5
}
fn default_busy_ms() -> u32 {
    2_000
}

impl StoreConfig {
    /// The defaults, with this database file.
    pub fn at(path: impl Into<PathBuf>) -> StoreConfig {
        StoreConfig {
            path: path.into(),
            unknown_retry_s: default_unknown_retry_s(),
            unknown_attempts_max: default_attempts_max(),
            unknown_of: BTreeMap::new(),
            dialer: dialer::Config::default(),
            busy_timeout_ms: default_busy_ms(),
        }
    }
}

impl Default for StoreConfig {
    fn default() -> Self {
        StoreConfig::at(default_path())
    }
}

/// What the disk or the database did.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused or failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// The tables could not be brought up to date.
    #[error("the database could not be migrated: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// No thread or runtime for the store.
    #[error("the store could not be started: {0}")]
    Io(#[from] std::io::Error),
    /// Another process has this database.
    #[error("process {pid} has this database ({} is locked); stop it, or use another data folder", path.display())]
    Locked {
        /// The lock's file.
        path: PathBuf,
        /// Who has it.
        pid: String,
    },
    /// More starts than ids have room for.
    #[error("this store has been started {0} times, which is more than ids have room for")]
    Boots(i64),
}

/// What the store found when it was opened.
#[derive(Clone, Debug)]
pub struct Boot {
    /// Which start of this store this is, from 1: the upper bits of every id.
    pub number: u32,
    /// Claims of the process before that had no end; counted as dialled.
    pub attempts_unknown: u64,
    /// Everyone who is never to be called: for `Input::DoNotCallLoaded`.
    pub do_not_call: Vec<PhoneNumber>,
    /// Earlier boots whose event log may know calls without a record: for [`settle`].
    pub unfolded: Vec<u32>,
}

/// One webhook message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxMessage {
    /// The configured endpoint's name.
    pub endpoint: String,
    /// Messages of one key are delivered in order: the call, or else the subject.
    pub order_key: String,
    /// The same on every try.
    pub message: String,
    /// The body as it is signed and sent.
    pub body: String,
}

/// An opened store, before its thread runs.
pub struct Store {
    config: StoreConfig,
    clock: Clock,
    do_not_call: Vec<PhoneNumber>,
    runtime: tokio::runtime::Runtime,
    connection: SqliteConnection,
    lock: lock::Lock,
}

impl Store {
    /// Opens or creates the database, brings its tables up to date, and settles what a crash left:
    /// every claim without an end becomes `unknown_restart`, gets a record, and its lead is
    /// scheduled again or done. One process per database. Blocks.
    pub fn open(
        config: &StoreConfig,
        clock: Clock,
        version: &str,
    ) -> Result<(Store, Boot), StoreError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let now = clock().utc;
        let lock = lock::take(&config.path)?;
        let (connection, boot) = runtime.block_on(async {
            let mut connection = connect(config).await?;
            sqlx::migrate!("src/store/migrations")
                .run(&mut connection)
                .await?;
            let boot = recovery::recover(&mut connection, config, now, version).await?;
            Ok::<_, StoreError>((connection, boot))
        })?;
        let do_not_call = boot.do_not_call.clone();
        Ok((
            Store {
                config: config.clone(),
                clock,
                do_not_call,
                runtime,
                connection,
                lock,
            },
            boot,
        ))
    }

    /// The do-not-call lists of others, as the engine takes them.
    pub fn do_not_call_lists(&mut self) -> Result<Vec<call::Input>, StoreError> {
        self.runtime
            .block_on(do_not_call::inputs(&mut self.connection))
    }

    /// What the law counts of the days before; dials within `cap_window`.
    pub fn history(&mut self, cap_window: Duration) -> Result<History, StoreError> {
        let now = (self.clock)().utc;
        self.runtime.block_on(history::load(
            &mut self.connection,
            now,
            cap_window,
            dialer::abandon::hours_of(&self.config.dialer),
        ))
    }
}

/// A connection whose commits are on the disk when they return.
async fn connect(config: &StoreConfig) -> Result<SqliteConnection, StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(&config.path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(false)
        .busy_timeout(Duration::from_millis(config.busy_timeout_ms.into()))
        .pragma("temp_store", "memory");
    Ok(SqliteConnection::connect_with(&options).await?)
}

/// A lead's state as its column holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LeadState {
    Ready = 0,
    Scheduled = 1,
    Claimed = 2,
    Done = 3,
}

/// An id as SQLite keeps it: the same bits, signed.
fn bits(id: u64) -> i64 {
    id.cast_signed()
}
