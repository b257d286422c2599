//! What can go wrong, each in one line that says what to do.

use kube::runtime::watcher;

/// Why a command did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The command line does not say enough, or asks for what is not there.
    #[error("{0}")]
    Usage(String),
    /// The cluster refused, something failed, or what was waited for did not come.
    #[error("{0}")]
    Failed(String),
    /// Whoever reads the output has gone.
    #[error("nobody reads the output any more")]
    Closed,
}

impl Error {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }

    /// As `--help` documents it.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Failed(_) => 1,
            Self::Closed => 0,
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::Closed;
        }
        Self::failed(format!("cannot write the output: {error}"))
    }
}

/// Puts into words that `action`, for example `read Store shop/green`, failed.
pub(crate) fn explain(action: &str, error: &kube::Error) -> Error {
    Error::failed(format!("cannot {action}: {}", cause(error)))
}

/// Why a call failed, in one line, and what to do.
pub(crate) fn cause(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(answer) => match answer.code {
            401 => "the API server does not accept your login: renew it, then try again".to_owned(),
            403 => format!("you may not ({}): ask for a role with that right", one_line(&answer.message)),
            404 if is_unknown(&answer.message) => {
                "the cluster does not know the resource: install the operator's chart first".to_owned()
            }
            409 => "it was changed at the same time: try again".to_owned(),
            _ => one_line(&answer.message),
        },
        kube::Error::Service(_) | kube::Error::HyperError(_) => {
            format!("the API server cannot be reached ({}): check --context and --kubeconfig", chain(error))
        }
        _ => chain(error),
    }
}

/// Why a watch failed, in one line, and what to do.
pub(crate) fn watch_cause(error: &watcher::Error) -> String {
    answer_to_watch(error).map_or_else(|| chain(error), cause)
}

/// What the API server said to a list or a watch.
pub(crate) fn answer_to_watch(error: &watcher::Error) -> Option<&kube::Error> {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => Some(error),
        watcher::Error::WatchError(_) | watcher::Error::NoResourceVersion => None,
    }
}

/// What the API server says of a resource, or of a whole group, that it does not serve.
fn is_unknown(message: &str) -> bool {
    ["could not find the requested resource", "page not found"].iter().any(|words| message.contains(words))
}

/// An error and its causes, on one line; a cause that only repeats what was said is left out.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut said = one_line(&error.to_string());
    let mut source = error.source();
    while let Some(cause) = source {
        let text = one_line(&cause.to_string());
        if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
        source = cause.source();
    }
    said
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn refused(code: u16, message: &str) -> kube::Error {
        kube::Error::Api(Box::new(Status { code, message: message.to_owned(), ..Status::default() }))
    }

    #[test]
    fn a_refusal_is_one_line_that_says_what_to_do() {
        let error = explain("read Store shop/green", &refused(403, "stores is forbidden:\n no"));
        assert_eq!(
            error.to_string(),
            "cannot read Store shop/green: you may not (stores is forbidden: no): ask for a role with that right"
        );
        assert_eq!(error.exit_code(), 1);
    }

    #[test]
    fn a_cluster_without_the_operator_is_told_from_a_store_that_is_not_there() {
        for message in ["the server could not find the requested resource", "\"404 page not found\\n\""] {
            let unknown = cause(&refused(404, message));
            assert!(unknown.contains("install the operator's chart"), "{unknown}");
        }
        let missing = cause(&refused(404, "stores.greencommerce.dev \"green\" not found"));
        assert_eq!(missing, "stores.greencommerce.dev \"green\" not found");
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let error = Error::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert_eq!(error.exit_code(), 0);
    }
}
