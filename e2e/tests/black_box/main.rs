//! A store on a real cluster, as its users, its shoppers and those who run it see it.
//!
//! All of it is one program: its tests start together, and each waits until it may have what it needs (see [`e2e`]).

mod availability;
mod bad_input;
mod cascade;
mod causes;
mod cluster;
mod examples;
mod journey;
mod manifests;
mod operator;
mod plugin;
mod readme;
mod release;
mod rotation;
mod scoped;
mod upgrade;
