//! A request body that can be sent again as long as nothing of it is lost.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

/// Largest body, in bytes.
pub(crate) const LIMIT: usize = 1024 * 1024;

/// What is kept of a body for another try, in bytes.
const KEPT: usize = 64 * 1024;

/// The body of a client's request, from which each try takes its own.
#[derive(Clone)]
pub(crate) struct Replayable(Arc<Mutex<State>>);

/// The body of one try. An earlier one ends when a later one begins.
pub(crate) struct Try {
    state: Arc<Mutex<State>>,
    number: u32,
    position: usize,
}

/// Why a body ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// It is larger than [`LIMIT`].
    #[error("the body is too large")]
    TooLarge,
    /// The client did not send all of it.
    #[error("the body ended early")]
    BrokenOff,
    /// Another try has taken over.
    #[error("the body is sent again")]
    Superseded,
}

struct State {
    source: Body,
    kept: Vec<Bytes>,
    /// Bytes read from the source.
    read: usize,
    /// Whether everything that was read is kept.
    whole: bool,
    tries: u32,
    failure: Option<BodyError>,
}

impl Replayable {
    /// `source`, of which nothing is kept unless it `may_repeat` after it was sent in part.
    pub(crate) fn new(source: Body, may_repeat: bool) -> Self {
        let whole = may_repeat || source.is_end_stream();
        Self(Arc::new(Mutex::new(State { source, kept: Vec::new(), read: 0, whole, tries: 0, failure: None })))
    }

    /// The body for another try.
    pub(crate) fn another_try(&self) -> Try {
        let mut state = lock(&self.0);
        state.tries += 1;
        Try { state: self.0.clone(), number: state.tries, position: 0 }
    }

    /// Whether another try would get the whole body.
    pub(crate) fn is_intact(&self) -> bool {
        let state = lock(&self.0);
        state.failure.is_none() && (state.read == 0 || state.whole)
    }

    /// Why the body could not be read, where that was it.
    pub(crate) fn failure(&self) -> Option<BodyError> {
        lock(&self.0).failure
    }
}

impl State {
    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            let frame = match ready!(Pin::new(&mut self.source).poll_frame(cx)) {
                None => return Poll::Ready(None),
                Some(Err(_)) => return Poll::Ready(Some(Err(self.fail(BodyError::BrokenOff)))),
                Some(Ok(frame)) => frame,
            };
            // Trailers are about the hop.
            let Ok(data) = frame.into_data() else { continue };
            self.read += data.len();
            if self.read > LIMIT {
                return Poll::Ready(Some(Err(self.fail(BodyError::TooLarge))));
            }
            if self.whole && self.read <= KEPT {
                self.kept.push(data.clone());
            } else {
                self.whole = false;
                self.kept = Vec::new();
            }
            return Poll::Ready(Some(Ok(data)));
        }
    }

    fn fail(&mut self, error: BodyError) -> BodyError {
        *self.failure.insert(error)
    }
}

impl http_body::Body for Try {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let mut state = lock(&this.state);
        if state.tries != this.number {
            return Poll::Ready(Some(Err(BodyError::Superseded)));
        }
        if let Some(data) = state.kept.get(this.position).cloned() {
            this.position += 1;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        let polled = ready!(state.poll_source(cx));
        // Where it was not kept, there is nothing at this position and never will be.
        this.position = state.kept.len();
        Poll::Ready(polled.map(|result| result.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        let state = lock(&self.state);
        self.position >= state.kept.len() && state.source.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let state = lock(&self.state);
        let kept: usize = state.kept.iter().skip(self.position).map(Bytes::len).sum();
        let (kept, source) = (kept as u64, state.source.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(kept + source.lower());
        if let Some(upper) = source.upper() {
            hint.set_upper(kept + upper);
        }
        hint
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use futures::stream;
    use http_body_util::BodyExt;

    use super::*;

    fn chunks(sizes: &'static [usize]) -> Body {
        Body::from_stream(stream::iter(sizes.iter().map(|size| Ok::<_, std::io::Error>(vec![b'x'; *size]))))
    }

    async fn read(body: Try) -> Result<usize, BodyError> {
        body.collect().await.map(|body| body.to_bytes().len())
    }

    #[tokio::test]
    async fn a_small_body_is_sent_again_in_full() {
        let body = Replayable::new(chunks(&[10, 20, 30]), true);
        let mut first = body.another_try();
        assert_eq!(first.frame().await.unwrap().unwrap().into_data().unwrap().len(), 10);
        assert!(body.is_intact());
        let second = body.another_try();
        assert_eq!(second.size_hint().lower(), 10);
        assert_eq!(read(second).await, Ok(60));
        assert_eq!(read(body.another_try()).await, Ok(60));
        assert_eq!(first.frame().await.unwrap().unwrap_err(), BodyError::Superseded);
    }

    #[tokio::test]
    async fn a_body_that_was_not_begun_can_always_be_sent() {
        let body = Replayable::new(chunks(&[10]), false);
        drop(body.another_try());
        assert!(body.is_intact());
        assert_eq!(read(body.another_try()).await, Ok(10));
        assert!(!body.is_intact());
    }

    #[tokio::test]
    async fn a_large_body_passes_and_is_not_kept() {
        let body = Replayable::new(chunks(&[KEPT, 1]), true);
        assert_eq!(read(body.another_try()).await, Ok(KEPT + 1));
        assert!(!body.is_intact());
    }

    #[tokio::test]
    async fn a_body_beyond_the_limit_is_cut_off() {
        let body = Replayable::new(chunks(&[LIMIT, 1]), false);
        assert_eq!(read(body.another_try()).await, Err(BodyError::TooLarge));
        assert_eq!(body.failure(), Some(BodyError::TooLarge));
        let exact = Replayable::new(chunks(&[LIMIT]), false);
        assert_eq!(read(exact.another_try()).await, Ok(LIMIT));
    }

    #[tokio::test]
    async fn no_body_stays_none() {
        let body = Replayable::new(Body::empty(), false);
        assert!(body.another_try().is_end_stream());
        assert_eq!(read(body.another_try()).await, Ok(0));
        assert!(body.is_intact());
    }
}
