//! Logs and metrics of a process.

use std::{error::Error, fmt};

use clap::ValueEnum;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, fmt::format::FmtSpan, layer::SubscriberExt, util::SubscriberInitExt};

/// What a process logs, and how.
#[derive(Debug, Clone, clap::Args)]
pub struct TelemetryArgs {
    /// What is logged: a level, or directives such as `info,catalog=debug`
    #[arg(long, env = "LOG_LEVEL", default_value = "info")]
    pub log_level: String,

    /// Form of the log lines
    #[arg(long, env = "LOG_FORMAT", default_value = "json")]
    pub log_format: LogFormat,
}

/// Form of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    Json,
    /// For people.
    Text,
}

/// The log level is not one.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The directives could not be read.
    #[error("LOG_LEVEL is not a level or a list of directives")]
    Filter(#[source] tracing_subscriber::filter::ParseError),
    /// Logs or metrics were set up before in this process.
    #[error("telemetry was set up twice")]
    Twice,
}

/// Seconds; from a cache hit to the longest time a request may take.
const DURATION_BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Sets up logs and metrics for this process, once.
pub fn init(args: &TelemetryArgs) -> Result<PrometheusHandle, TelemetryError> {
    let filter = EnvFilter::try_new(&args.log_level).map_err(TelemetryError::Filter)?;
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_span_events(FmtSpan::NONE);
    match args.log_format {
        LogFormat::Json => {
            registry.with(layer.json().flatten_event(true).with_current_span(true).with_span_list(false)).try_init()
        }
        LogFormat::Text => registry.with(layer.compact()).try_init(),
    }
    .map_err(|_| TelemetryError::Twice)?;
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &DURATION_BUCKETS)
        .expect("the list of buckets is not empty")
        .install_recorder()
        .map_err(|_| TelemetryError::Twice)
}

/// An error with its causes on one line, for logs: `cannot place the order: pool timed out`.
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}
