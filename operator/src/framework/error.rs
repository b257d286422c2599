//! What a failed reconciliation says about itself.

use std::{error::Error, fmt::Write as _};

use api::Reason;

use super::Finding;

/// An error of one step of a reconciliation.
///
/// The reason is what the condition, the event and the metric carry.
pub(crate) trait ReconcileError: Error + Send + Sync + 'static {
    /// The reason that users see.
    fn reason(&self) -> Reason;

    /// Whether trying again can help.
    fn retry(&self) -> Retry;

    /// What the failure tells about other conditions than `Ready`.
    fn findings(&self) -> Vec<Finding> {
        Vec::new()
    }
}

/// When to try again after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// Sooner at first, later if it keeps failing.
    Backoff,
    /// At a steady pace: the cause lies where no watch reaches.
    Steady,
    /// When the object, or one it depends on, changes.
    OnChange,
}

/// An error and its causes on one line, each printed once.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(current) = next {
        if !text.is_empty() {
            text.push_str(": ");
        }
        if let Some(kube::Error::Api(status)) = kube_error(current) {
            text.push_str(&status.message);
            break;
        }
        let level = current.to_string();
        // kube prints its causes itself; what has been said is not said again.
        if text.contains(&level) {
            text.truncate(text.len() - 2);
        } else {
            write!(text, "{level}").expect("writing to a string cannot fail");
        }
        next = current.source();
    }
    text
}

/// Whether the API server refused something, at the root of this error, for want of a right.
pub(crate) fn is_forbidden(error: &(dyn Error + 'static)) -> bool {
    refusal(error) == Some(403)
}

/// Whether the API server refused something, at the root of this error, because somebody else wrote first.
pub(crate) fn is_conflict(error: &(dyn Error + 'static)) -> bool {
    refusal(error) == Some(409)
}

/// The HTTP status with which the API server refused what is at the root of this error.
fn refusal(error: &(dyn Error + 'static)) -> Option<u16> {
    match kube_error(error) {
        Some(kube::Error::Api(status)) => Some(status.code),
        _ => refusal(error.source()?),
    }
}

/// The API client's error, also in the box in which our errors hold it.
fn kube_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a kube::Error> {
    error.downcast_ref().or_else(|| error.downcast_ref::<Box<kube::Error>>().map(|boxed| &**boxed))
}

#[cfg(test)]
mod tests {
    use super::{chain, is_conflict, is_forbidden};

    #[derive(Debug, thiserror::Error)]
    #[error("cannot write the Deployment")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("connection refused")]
    struct Inner;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot apply the Service")]
    struct Refused(#[source] Box<kube::Error>);

    #[test]
    fn what_the_api_server_says_is_said_once_and_in_its_words() {
        let status = kube::core::Status::failure("port 30080 is taken", "Invalid").boxed();
        assert_eq!(
            chain(&Refused(Box::new(kube::Error::Api(status)))),
            "cannot apply the Service: port 30080 is taken"
        );
    }

    #[test]
    fn a_missing_right_is_found_below_what_it_kept_from_being_done() {
        let refused = |code| {
            let mut status = kube::core::Status::failure("no", "");
            status.code = code;
            Refused(Box::new(kube::Error::Api(status.boxed())))
        };
        assert!(is_forbidden(&refused(403)));
        assert!(!is_forbidden(&refused(409)));
        assert!(is_conflict(&refused(409)) && !is_conflict(&refused(403)));
        assert!(!is_forbidden(&Outer(Inner)));
    }

    #[test]
    fn a_chain_names_every_cause_once() {
        assert_eq!(chain(&Outer(Inner)), "cannot write the Deployment: connection refused");
    }
}
