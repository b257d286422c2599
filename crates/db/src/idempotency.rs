//! Requests that may be sent again: the key, and the answer it got, are rows in the transaction of the effect
//! (draft-ietf-httpapi-idempotency-key-header).
//!
//! A handler that writes in one transaction claims and completes in it; a twin that is under way is seen by its lock.
//! A handler that asks other services before it writes claims in a transaction of its own, with a lease: a crash in
//! between is healed by the next try, which gets the same `subject` and so repeats the same calls with the same id.

use std::time::{Duration, Instant};

use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

/// How long a request waits for one with the same key before it is told to come back later.
const PATIENCE: Duration = Duration::from_millis(250);
/// Between two looks at the lock.
const PAUSE: Duration = Duration::from_millis(10);

/// A request with its key.
#[derive(Debug, Clone)]
pub struct Request {
    scope: String,
    key: String,
    hash: Vec<u8>,
}

/// What to do with a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    /// Do it, under this id; nobody else is doing it.
    Proceed {
        /// The id of what the request creates: the one an earlier, broken-off try had, or a new one.
        subject: Uuid,
    },
    /// It was done: give this answer again.
    Replay(Answer),
    /// The key was used for another request.
    Mismatch,
    /// The same request is being done at this moment.
    InFlight,
}

/// An answer that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body and what else of the answer is to be repeated, as the HTTP layer wants it.
    pub content: Value,
}

/// What an earlier try has left.
struct Existing {
    /// It was the same request.
    same: bool,
    subject: Uuid,
    answer: Option<(i16, Value)>,
    locked: bool,
}

impl Existing {
    /// What it means, where that is the same whoever else is at it.
    fn settled(self) -> Option<Claim> {
        if !self.same {
            return Some(Claim::Mismatch);
        }
        self.answer.map(|(status, content)| {
            let status = u16::try_from(status).expect("written from a u16");
            Claim::Replay(Answer { status, content })
        })
    }
}

impl Request {
    /// A request of `scope` (who asks, and what route) with the client's `key`; `content` is all that makes two requests the
    /// same.
    #[must_use]
    pub fn new(scope: String, key: String, content: &[u8]) -> Self {
        Self { scope, key, hash: Sha256::digest(content).to_vec() }
    }

    /// Claims the request in the transaction of `conn`, for `lease` from now where that transaction commits before the
    /// request is done. A twin that is under way is waited for 250 ms before the answer is [`Claim::InFlight`].
    pub async fn claim(
        &self,
        conn: &mut PgConnection,
        new_subject: Uuid,
        lease: Duration,
    ) -> Result<Claim, sqlx::Error> {
        if !self.lock_soon(conn).await? {
            // Held by a twin.
            return Ok(self.existing(conn).await?.and_then(Existing::settled).unwrap_or(Claim::InFlight));
        }
        let lease = lease.as_secs_f64();
        let inserted = sqlx::query!(
            "insert into platform.idempotency (scope, key, request_hash, subject, locked_until)
             values ($1, $2, $3, $4, now() + make_interval(secs => $5)) on conflict do nothing",
            self.scope,
            self.key,
            self.hash,
            new_subject,
            lease,
        )
        .execute(&mut *conn)
        .await?;
        if inserted.rows_affected() == 1 {
            return Ok(Claim::Proceed { subject: new_subject });
        }
        self.claim_existing(conn, lease).await
    }

    async fn claim_existing(&self, conn: &mut PgConnection, lease: f64) -> Result<Claim, sqlx::Error> {
        let row = self.existing(conn).await?.ok_or(sqlx::Error::RowNotFound)?;
        let (subject, locked) = (row.subject, row.locked);
        if let Some(claim) = row.settled() {
            return Ok(claim);
        }
        if locked {
            return Ok(Claim::InFlight);
        }
        sqlx::query!(
            "update platform.idempotency set locked_until = now() + make_interval(secs => $3) where scope = $1 and key = $2",
            self.scope,
            self.key,
            lease,
        )
        .execute(conn)
        .await?;
        Ok(Claim::Proceed { subject })
    }

    /// Keeps the answer, in the transaction of the effect. False where the claim was lost: its lease ran out and a twin has
    /// completed the request. The transaction must then be rolled back.
    pub async fn complete(&self, conn: &mut PgConnection, answer: &Answer) -> Result<bool, sqlx::Error> {
        let done = sqlx::query!(
            "update platform.idempotency set status = $3, answer = $4, locked_until = null
             where scope = $1 and key = $2 and status is null",
            self.scope,
            self.key,
            i16::try_from(answer.status).expect("HTTP statuses have three digits"),
            answer.content,
        )
        .execute(conn)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Lets a claim go after a failure that the client may try again at once. What was begun under its subject is
    /// repeated, not doubled, because the subject stays.
    pub async fn abandon(&self, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::query!(
            "update platform.idempotency set locked_until = null where scope = $1 and key = $2 and status is null",
            self.scope,
            self.key,
        )
        .execute(conn)
        .await?;
        Ok(())
    }

    async fn existing(&self, conn: &mut PgConnection) -> Result<Option<Existing>, sqlx::Error> {
        let row = sqlx::query!(
            r#"select request_hash, subject, status, answer, coalesce(locked_until > now(), false) as "locked!"
               from platform.idempotency where scope = $1 and key = $2"#,
            self.scope,
            self.key,
        )
        .fetch_optional(conn)
        .await?;
        Ok(row.map(|row| Existing {
            same: row.request_hash == self.hash,
            subject: row.subject,
            answer: row.status.zip(row.answer),
            locked: row.locked,
        }))
    }

    /// Waits a moment for the lock: the transaction of an answer that was given already ends after the answer, when its
    /// connection goes back to the pool.
    async fn lock_soon(&self, conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
        let begun = Instant::now();
        while !self.lock(&mut *conn).await? {
            if begun.elapsed() >= PATIENCE {
                return Ok(false);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(true)
    }

    /// Excludes a twin until the end of the transaction, without waiting for it.
    async fn lock(&self, conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
        let name = format!("{}\n{}", self.scope, self.key);
        sqlx::query_scalar!(r#"select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as "locked!""#, name)
            .fetch_one(conn)
            .await
    }
}
