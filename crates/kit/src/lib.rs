//! What every service has in common: start-up, configuration, telemetry, HTTP conventions, drain.
