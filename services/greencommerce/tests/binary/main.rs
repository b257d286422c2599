//! The binary as others start it.

#[cfg(test)]
mod all;
#[cfg(test)]
mod commands;
