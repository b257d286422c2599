//! Logs, and traces for who wants them.

mod export;
mod span;
mod traces;
mod writes;

use anyhow::Context as _;
use clap::ValueEnum;
use tracing::{Dispatch, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt as _, filter_fn},
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

pub(super) use self::span::{begin, fail, of_knock};
pub(crate) use self::{
    span::{followed, of_brokers, of_cache, of_server},
    traces::{Endpoint, Traces},
    writes::TraceWrites,
};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// What this process tells of itself while it runs.
#[derive(Debug)]
pub(crate) struct Telemetry {
    /// What is logged, in the syntax of
    /// [`EnvFilter`](https://docs.rs/tracing-subscriber/latest/tracing_subscriber/filter/struct.EnvFilter.html).
    pub(crate) log_level: String,
    /// How log lines look.
    pub(crate) log_format: LogFormat,
    /// Where traces go; without it none are taken.
    pub(crate) traces: Option<Endpoint>,
    /// The Pod that this process is in.
    pub(crate) pod_name: Option<String>,
}

impl Telemetry {
    /// Starts logging to standard output, and taking traces if there is where to send them. Those are sent by the runtime
    /// that this is called in.
    pub(crate) fn start(&self) -> anyhow::Result<Option<Traces>> {
        let filter = EnvFilter::try_new(&self.log_level)
            .with_context(|| format!("the log level {:?} is not a filter", self.log_level))?;
        let traces = self.traces.as_ref().map(|endpoint| Traces::to(endpoint, self.pod_name.as_deref())).transpose()?;
        dispatch(filter, self.log_format, std::io::stdout, traces.as_ref()).try_init()?;
        Ok(traces)
    }
}

/// Who listens. With traces, what is logged does not decide what is traced, nor the other way round.
fn dispatch<W>(filter: EnvFilter, format: LogFormat, writer: W, traces: Option<&Traces>) -> Dispatch
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let is_logged = filter_fn(span::is_logged);
    match traces {
        Some(traces) => {
            let lines = lines(format, writer).with_filter(filter.and(is_logged));
            tracing_subscriber::registry().with(traces.layer()).with(lines).into()
        }
        None => tracing_subscriber::registry().with(filter).with(is_logged).with(lines(format, writer)).into(),
    }
}

/// Log lines. Those of a reconciliation name it, by its span.
pub(super) fn lines<S, W>(format: LogFormat, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(writer);
    match format {
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
        LogFormat::Text => lines.boxed(),
    }
}

#[cfg(test)]
mod tests;
