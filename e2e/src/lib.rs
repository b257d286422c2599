//! Black-box tests of a store on a real cluster.
