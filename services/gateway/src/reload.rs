//! The route table in use, kept up with its file.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use kit::telemetry::Chain;
use tokio_util::sync::CancellationToken;

use crate::routes::{Route, RouteTable, RoutesError};

/// How often the file is looked at. Its content is compared rather than its time: a mounted `ConfigMap` is a link that moves.
const EVERY: Duration = Duration::from_secs(2);

/// The route table in use.
#[derive(Debug, Clone)]
pub(crate) struct RouteBook {
    file: Option<PathBuf>,
    table: Arc<RwLock<Arc<RouteTable>>>,
}

impl RouteBook {
    /// The table of `file`, or of `routes` where there is no file.
    pub(crate) async fn open(file: Option<PathBuf>, routes: Vec<Route>) -> Result<Self, RoutesError> {
        let table = match &file {
            Some(file) => RouteTable::parse(&tokio::fs::read_to_string(file).await.map_err(RoutesError::Read)?)?,
            None => RouteTable::new(routes)?,
        };
        Ok(Self { file, table: Arc::new(RwLock::new(Arc::new(table))) })
    }

    /// The table of this moment.
    pub(crate) fn table(&self) -> Arc<RouteTable> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, table: RouteTable) {
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
    }
}

/// Takes over what changes in the file, until `stop`. A broken file changes nothing but the log.
pub(crate) async fn keep_up(book: RouteBook, stop: CancellationToken) {
    let Some(file) = book.file.clone() else { return stop.cancelled().await };
    let mut seen = None;
    let mut ticks = tokio::time::interval(EVERY);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let read = tokio::fs::read_to_string(&file).await.map_err(|error| error.to_string());
        if seen.as_ref() == Some(&read) {
            continue;
        }
        match read.as_deref().map(RouteTable::parse) {
            Ok(Ok(table)) if table == *book.table() => {}
            Ok(Ok(table)) => {
                book.replace(table);
                tracing::info!("took over a changed route table");
            }
            Ok(Err(error)) => tracing::error!(error = %Chain(&error), "kept the old route table"),
            Err(error) => tracing::error!(error, "the route table cannot be read: kept the old one"),
        }
        seen = Some(read);
    }
}
