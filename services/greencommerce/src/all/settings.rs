//! Settings of a service that is not a process of its own. They go through the service's own command line, so that what is
//! not given has the default, or the environment's value, that it has in production.

use std::fmt::Display;

use clap::{Args, Command};

/// Flags with their values.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings(Vec<String>);

impl Settings {
    /// None.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// These, and `--flag=value`.
    pub(super) fn with(mut self, flag: &str, value: impl Display) -> Self {
        self.0.push(format!("--{flag}={value}"));
        self
    }

    /// What the service makes of them.
    pub(super) fn parse<A: Args>(self) -> Result<A, clap::Error> {
        let command = A::augment_args(Command::new("service").no_binary_name(true));
        A::from_arg_matches(&command.try_get_matches_from(self.0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_wins_over_the_default() {
        let args: kit::kafka::KafkaArgs = Settings::new().with("kafka-prefix", "test.").parse().unwrap();
        assert_eq!(args.kafka_prefix, "test.");
    }

    #[test]
    fn an_unknown_flag_is_an_error() {
        assert!(Settings::new().with("colour", "green").parse::<kit::kafka::KafkaArgs>().is_err());
    }
}
