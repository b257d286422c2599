//! What the other services hear of accounts.

use events::UserEvent;
use testkit::TestEvents;

use crate::Auth;

#[tokio::test]
async fn the_life_of_an_account_is_told_in_order() {
    let kafka = TestEvents::new().await;
    let heard = kafka.subscribe::<UserEvent>();
    let auth = Auth::start_with(kafka.args()).await;
    let somebody = auth.somebody().await;
    somebody.client.delete("/api/auth/delete").send().await.expect_status(204);
    let registered = heard.next::<UserEvent>().await;
    let UserEvent::Registered(data) = &registered.event else { panic!("{registered:?}") };
    assert_eq!((data.user_id.to_string(), data.email.as_str()), (somebody.id.clone(), somebody.email.as_str()));
    assert_eq!(registered.subject, somebody.id);
    let deleted = heard.next::<UserEvent>().await;
    assert!(matches!(&deleted.event, UserEvent::Deleted(data) if data.user_id.to_string() == somebody.id));
}
