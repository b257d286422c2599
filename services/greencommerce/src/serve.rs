//! One service as a process.

use kit::{BuildError, Clock, Platform, Service, StartError, auth::Verifier};

use crate::cli::Serve;

/// Runs the service that `build` makes, until the process is asked to end.
pub(crate) async fn run<A, F>(args: Serve<A>, build: impl FnOnce(A, Platform) -> F) -> Result<(), StartError>
where
    A: clap::Args,
    F: Future<Output = Result<Service, BuildError>>,
{
    let Serve { process, verifier, service } = args;
    kit::run(process, || async move {
        let platform = Platform { clock: Clock::system(), verifier: Verifier::from_args(&verifier)? };
        build(service, platform).await
    })
    .await
}
