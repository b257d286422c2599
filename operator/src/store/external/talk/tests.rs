use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;
use crate::framework::scenario::Scenario;

/// What comes of asking whoever gives this answer to every command.
async fn asked(answer: &'static str) -> Result<(), CacheError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = [0; 1024];
        while let length @ 1.. = stream.read(&mut heard).await.unwrap() {
            let commands = String::from_utf8_lossy(&heard[..length]).matches('*').count();
            stream.write_all(answer.repeat(commands).as_bytes()).await.unwrap();
        }
        std::future::pending::<()>().await;
    };
    let address = Address::parse(&format!("redis://{address}"), "shop").unwrap();
    tokio::select! { asked = ping(&address) => asked, () = serve => unreachable!() }
}

#[tokio::test]
async fn what_does_not_answer_like_a_cache_is_told_from_one_that_refuses() {
    let reason = async |answer| asked(answer).await.unwrap_err().reason();
    for trouble in [
        "-LOADING Redis is loading the dataset in memory\r\n",
        "-MISCONF Redis is configured to save RDB snapshots, but it is currently not able to persist on disk.\r\n",
        "HTTP/1.1 400 Bad Request\r\n\r\n",
    ] {
        assert_eq!(reason(trouble).await, Reason::CacheUnreachable, "{trouble}");
    }
    for refusal in ["-NOAUTH Authentication required.\r\n", "-NOPERM User shop has no permissions to run 'ping'\r\n"] {
        assert_eq!(reason(refusal).await, Reason::CacheLoginRefused, "{refusal}");
    }
}

#[tokio::test]
async fn one_that_says_nothing_is_not_waited_for() {
    let (_, context, _) = Scenario::of(vec![]);
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = mute.local_addr().unwrap().to_string();
    let address = Address::parse(&format!("redis://{place}"), "shop").unwrap();
    let asked = timeout(PATIENCE * 2, ask(&context, &address)).await.unwrap();
    assert_eq!(asked, Err(CacheError::Unreachable(Unreachable::Silent(place))));
}

#[test]
fn a_login_is_never_told() {
    let address = Address::parse("redis://shop:hunter2@redis.cache.svc/3?protocol=resp3", "shop").unwrap();
    assert_eq!(address.login.redis_settings().protocol(), ProtocolVersion::RESP2);
    let error = RedisError::from((ErrorKind::AuthenticationFailed, "Password authentication failed"));
    assert_eq!(
        CacheError::of(&error, &address).to_string(),
        "the cache at redis.cache.svc:6379 refuses the login in its address: the user name or the password is wrong"
    );
}
