//! Waiting for conditions, never for luck.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::Space;

const PAUSE: Duration = Duration::from_millis(250);

/// What a look at the cluster found.
#[derive(Debug)]
pub enum Seen<T> {
    /// What is waited for.
    Yes(T),
    /// Something else, in words.
    NotYet(String),
}

impl Seen<()> {
    /// Whether `holds`; if not, what is there instead.
    pub fn when(holds: bool, instead: impl Into<String>) -> Self {
        if holds { Self::Yes(()) } else { Self::NotYet(instead.into()) }
    }
}

/// Looks until it sees `what`, for `deadline` at the most. A look that fails counts as one that did not see it: the API
/// server may be away for a moment. In vain, the error tells what was seen last and how the namespace looks.
pub async fn wait_until<T>(
    space: &Space,
    what: &str,
    deadline: Duration,
    mut look: impl AsyncFnMut() -> Result<Seen<T>>,
) -> Result<T> {
    let begun = Instant::now();
    loop {
        let last = match look().await {
            Ok(Seen::Yes(value)) => return Ok(value),
            Ok(Seen::NotYet(instead)) => instead,
            Err(error) => format!("{error:#}"),
        };
        if begun.elapsed() >= deadline {
            bail!("waited {deadline:?} in vain for {what}; last seen: {last}\n{}", space.diagnosis().await);
        }
        tokio::time::sleep(PAUSE).await;
    }
}
