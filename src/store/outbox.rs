//! The reading side of the webhook outbox: what is due, in order per key, and what became of it.

use super::{StoreConfig, StoreError, connect};
use model::Utc;
use sqlx::{Row, SqliteConnection};

/// A message that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Its row.
    pub id: i64,
    /// The same on every try; the receiver drops what it has seen.
    pub message: String,
    /// The body as it is signed and sent.
    pub body: String,
    /// Tries so far.
    pub tries: u32,
}

/// A connection of the delivery's own, on its own runtime.
pub struct Outbox {
    connection: SqliteConnection,
}

impl Outbox {
    /// Opens the outbox of a store that [`Store::open`](super::Store::open) has brought up to date.
    pub async fn open(config: &StoreConfig) -> Result<Outbox, StoreError> {
        Ok(Outbox {
            connection: connect(config).await?,
        })
    }

    /// Up to `limit` messages that may be sent now: of each key only the oldest, so that a message
    /// never overtakes one of the same call.
    pub async fn due(
        &mut self,
        endpoint: &str,
        now: Utc,
        limit: u32,
    ) -> Result<Vec<Due>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, message, body, tries FROM outbox o WHERE endpoint = ? AND state = 0 AND next_at <= ? \
             AND id = (SELECT MIN(id) FROM outbox f WHERE f.endpoint = o.endpoint AND f.state = 0 AND f.order_key = o.order_key) \
             ORDER BY id LIMIT ?",
        )
        .bind(endpoint)
        .bind(now.as_micros())
        .bind(limit)
        .fetch_all(&mut self.connection)
        .await?;
        Ok(rows
            .iter()
            .map(|row| Due {
                id: row.get(0),
                message: row.get(1),
                body: row.get(2),
                tries: u32::try_from(row.get::<i64, _>(3)).unwrap_or(u32::MAX),
            })
            .collect())
    }

    /// When the next message of this endpoint may be sent.
    pub async fn next_at(&mut self, endpoint: &str) -> Result<Option<Utc>, StoreError> {
        let row = sqlx::query(
            "SELECT MIN(next_at) FROM outbox o WHERE endpoint = ? AND state = 0 \
             AND id = (SELECT MIN(id) FROM outbox f WHERE f.endpoint = o.endpoint AND f.state = 0 AND f.order_key = o.order_key)",
        )
        .bind(endpoint)
        .fetch_one(&mut self.connection)
        .await?;
        Ok(row.get::<Option<i64>, _>(0).map(Utc::from_micros))
    }

    /// It arrived.
    pub async fn delivered(&mut self, id: i64) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM outbox WHERE id = ?")
            .bind(id)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// It did not; try again at `next_at`, or, where there is none, keep it as a dead letter.
    pub async fn failed(&mut self, id: i64, next_at: Option<Utc>) -> Result<(), StoreError> {
        let (state, at) = match next_at {
            Some(at) => (0, at.as_micros()),
            None => (1, 0),
        };
        sqlx::query("UPDATE outbox SET tries = tries + 1, state = ?, next_at = ? WHERE id = ?")
            .bind(state)
            .bind(at)
            .bind(id)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// The endpoint wants no more (410). Its messages stay until somebody enables it again.
    pub async fn disable(&mut self, endpoint: &str, now: Utc) -> Result<(), StoreError> {
        sqlx::query("INSERT OR IGNORE INTO outbox_disabled (endpoint, at) VALUES (?, ?)")
            .bind(endpoint)
            .bind(now.as_micros())
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// Whether the endpoint wants no more.
    pub async fn is_disabled(&mut self, endpoint: &str) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT COUNT(*) FROM outbox_disabled WHERE endpoint = ?")
            .bind(endpoint)
            .fetch_one(&mut self.connection)
            .await?;
        Ok(row.get::<i64, _>(0) > 0)
    }

    /// Enables the endpoint and sends its dead letters again.
    pub async fn replay(&mut self, endpoint: &str, now: Utc) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM outbox_disabled WHERE endpoint = ?")
            .bind(endpoint)
            .execute(&mut self.connection)
            .await?;
        sqlx::query(
            "UPDATE outbox SET state = 0, tries = 0, next_at = ? WHERE endpoint = ? AND state = 1",
        )
        .bind(now.as_micros())
        .bind(endpoint)
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }

    /// Messages to be delivered, and dead letters.
    pub async fn depth(&mut self, endpoint: &str) -> Result<(u64, u64), StoreError> {
        let rows =
            sqlx::query("SELECT state, COUNT(*) FROM outbox WHERE endpoint = ? GROUP BY state")
                .bind(endpoint)
                .fetch_all(&mut self.connection)
                .await?;
        let count = |state: i64| {
            rows.iter()
                .find(|row| row.get::<i64, _>(0) == state)
                .map_or(0, |row| row.get::<i64, _>(1).cast_unsigned())
        };
        Ok((count(0), count(1)))
    }
}
