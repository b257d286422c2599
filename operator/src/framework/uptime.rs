//! Time that only moves forwards, also while the process or the machine sleeps.

use std::{fmt, sync::Arc, time::Duration};

use nix::time::{ClockId, clock_gettime};

/// Tells how long the machine has been up. It is never set, so spans of it can be trusted.
#[derive(Clone)]
pub(crate) struct Uptime(Arc<dyn Fn() -> Duration + Send + Sync>);

impl Uptime {
    /// The machine's own (`CLOCK_BOOTTIME`, see `clock_gettime(2)`): unlike the clock of timers it does not stand still
    /// while the machine is suspended.
    pub(crate) fn system() -> Self {
        Self(Arc::new(|| {
            clock_gettime(ClockId::CLOCK_BOOTTIME).expect("Linux has this clock since version 2.6.39").into()
        }))
    }

    /// The time since the machine was started.
    pub(crate) fn now(&self) -> Duration {
        (self.0)()
    }
}

impl fmt::Debug for Uptime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uptime({:?})", self.now())
    }
}

#[cfg(test)]
pub(crate) mod fake {
    //! A clock that tests set.

    use std::sync::atomic::{AtomicU64, Ordering};

    use super::{Arc, Duration, Uptime};

    /// The hands of a fake clock.
    #[derive(Clone, Default)]
    pub(crate) struct Hands(Arc<AtomicU64>);

    impl Hands {
        pub(crate) fn set(&self, time: Duration) {
            self.0.store(u64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
        }

        pub(crate) fn clock(&self) -> Uptime {
            let hands = self.0.clone();
            Uptime(Arc::new(move || Duration::from_millis(hands.load(Ordering::SeqCst))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Uptime;

    #[test]
    fn it_does_not_go_back() {
        let uptime = Uptime::system();
        let before = uptime.now();
        assert!(!before.is_zero() && uptime.now() >= before);
    }
}
