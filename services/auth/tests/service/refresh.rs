//! Refresh tokens: lost answers, many tabs, thieves.

use std::collections::HashSet;

use futures::future::join_all;

use crate::{Auth, refresh, text};

#[tokio::test]
async fn a_refresh_gives_tokens_that_work() {
    let auth = Auth::start().await;
    let somebody = auth.somebody().await;
    let mut token = somebody.refresh_token();
    for _ in 0..5 {
        let tokens = refresh(&auth.client(), &token).await.expect(200).json();
        auth.client().bearer(text(&tokens, "access_token")).get("/api/auth/me").send().await.expect_status(200);
        let next = text(&tokens, "refresh_token");
        assert_ne!(next, token);
        token = next;
    }
}

#[tokio::test]
async fn a_lost_answer_does_not_log_anybody_out() {
    let auth = Auth::start().await;
    let somebody = auth.somebody().await;
    let lost = refresh(&auth.client(), &somebody.refresh_token()).await.expect(200).json();
    let again = refresh(&auth.client(), &somebody.refresh_token()).await.expect(200).json();
    assert_eq!(text(&lost, "refresh_token"), text(&again, "refresh_token"), "one branch, not two");
    refresh(&auth.client(), &text(&again, "refresh_token")).await.expect_status(200);
}

#[tokio::test]
async fn fifty_refreshes_at_once_leave_one_live_branch() {
    let auth = Auth::start().await;
    let somebody = auth.somebody().await;
    let (client, token) = (auth.client(), somebody.refresh_token());
    let answers = join_all((0..50).map(|_| refresh(&client, &token))).await;
    let next: HashSet<String> =
        answers.iter().map(|answer| text(&answer.clone().expect(200).json(), "refresh_token")).collect();
    assert_eq!(next.len(), 1);
    for token in next {
        refresh(&client, &token).await.expect_status(200);
    }
}

#[tokio::test]
async fn a_token_used_up_long_ago_ends_the_session() {
    let auth = Auth::start().await;
    let somebody = auth.somebody().await;
    let stolen = somebody.refresh_token();
    let second = text(&refresh(&auth.client(), &stolen).await.expect(200).json(), "refresh_token");
    let third = text(&refresh(&auth.client(), &second).await.expect(200).json(), "refresh_token");
    refresh(&auth.client(), &stolen).await.expect_problem(401, "invalid_refresh_token");
    refresh(&auth.client(), &third).await.expect_problem(401, "invalid_refresh_token");
}

#[tokio::test]
async fn a_made_up_token_is_refused_and_harms_nobody() {
    let auth = Auth::start().await;
    let somebody = auth.somebody().await;
    let real = somebody.refresh_token();
    let forged = format!("{}AAAAAAAAAA", &real[..real.len() - 10]);
    for token in ["", "null", "gcr_", &forged, &somebody.access_token(), &"A".repeat(10_000)] {
        refresh(&auth.client(), token).await.expect_problem(401, "invalid_refresh_token");
    }
    refresh(&auth.client(), &real).await.expect_status(200);
}
