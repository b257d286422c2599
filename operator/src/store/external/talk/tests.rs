use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

const MOMENT: Duration = Duration::from_millis(200);

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
    tokio::select! { asked = ping(&address, MOMENT) => asked, () = serve => unreachable!() }
}

#[tokio::test]
async fn what_does_not_answer_like_a_cache_is_told_from_one_that_refuses() {
    let reason = async |answer| asked(answer).await.unwrap_err().reason();
    assert_eq!(reason("-LOADING Redis is loading the dataset in memory\r\n").await, Reason::CacheUnreachable);
    assert_eq!(reason("HTTP/1.1 400 Bad Request\r\n\r\n").await, Reason::CacheUnreachable);
    assert_eq!(reason("").await, Reason::CacheUnreachable);
    for refusal in ["-NOAUTH Authentication required.\r\n", "-DENIED Redis is running in protected mode\r\n"] {
        assert_eq!(reason(refusal).await, Reason::CacheLoginRefused, "{refusal}");
    }
}

#[test]
fn a_login_is_never_told() {
    let address = Address::parse("redis://shop:hunter2@redis.cache.svc/3", "shop").unwrap();
    let error = RedisError::from((ErrorKind::AuthenticationFailed, "Password authentication failed"));
    assert_eq!(
        CacheError::of(&error, &address).to_string(),
        "the cache at redis.cache.svc:6379 refuses the login in its address: the user name or the password is wrong"
    );
}
