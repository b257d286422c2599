//! One operator of several leads: it holds a Lease and writes; the others watch, and take over when the lease is free.
//!
//! The rules are those of client-go's leader election. Whether a lease has ended is judged by how long this machine has
//! not seen it change, never by comparing clocks, and a write of the lease names the version that it replaces, so that of
//! two candidates one wins. [`election`] decides and does nothing else; [`lease`] reads, writes and waits.

mod election;
mod lease;

pub(crate) use lease::{Candidate, Leadership};
