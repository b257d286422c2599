//! What a store tells while it goes to sleep, sleeps and wakes.

use super::*;

fn suspended(seen: &Seen) -> Vec<Finding> {
    let mut of = validate(&store("1.0.0"), seen).unwrap();
    of.suspend = true;
    let plan = plan(&of, seen, course(&of, None));
    derive(&of, seen, &plan, None, &Wrote::default(), Timestamp::UNIX_EPOCH).1
}

fn without_pods(seen: &mut Seen) {
    for live in seen.services.values_mut() {
        let mut service = (**live).clone();
        service.spec.replicas = Some(0);
        *live = Arc::new(service);
    }
    for server in [&mut seen.kafka, &mut seen.cache] {
        let mut set = (**server.stateful_set.as_ref().unwrap()).clone();
        set.spec.replicas = Some(0);
        set.status.as_mut().unwrap().replicas = 0;
        server.stateful_set = Some(Arc::new(set));
    }
    let database = json!({
        "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreDatabase",
        "metadata": {"name": "green", "generation": 2}, "spec": {},
        "status": {"conditions": ready("False", "Suspended", 2)},
    });
    seen.database = Some(Arc::new(serde_json::from_value(database).unwrap()));
}

#[test]
fn a_store_sleeps_when_its_last_pod_has_gone_and_not_before() {
    let mut seen = complete("1.0.0");
    let going = suspended(&seen);
    let (holds, reason, message) = finding_of(&going, ConditionType::Suspended);
    assert_eq!((holds, reason), (false, Reason::Suspending));
    assert!(message.contains("the services") && message.contains("the broker"), "{message}");
    without_pods(&mut seen);
    let asleep = suspended(&seen);
    assert!(finding_of(&asleep, ConditionType::Suspended).0);
    assert!(!finding_of(&asleep, ConditionType::Ready).0);
    assert!(!finding_of(&asleep, ConditionType::Degraded).0);
}

#[test]
fn a_store_on_servers_of_others_goes_to_sleep_and_wakes_without_waiting_for_them() {
    let mut external = store("1.0.0");
    let servers = json!({
        "kafka": {"external": {"bootstrapServers": "kafka.example:9092"}},
        "cache": {"external": {"urlSecretRef": {"name": "redis"}}},
    });
    external.spec.kafka = serde_json::from_value(servers["kafka"].clone()).unwrap();
    external.spec.cache = serde_json::from_value(servers["cache"].clone()).unwrap();
    let mut seen = complete("1.0.0");
    without_pods(&mut seen);
    (seen.kafka, seen.cache) = (Server::default(), Server::default());
    seen.external_cache = Some(ExternalCache::Serves("redis:6379".to_owned()));
    external.spec.suspend = true;
    let of = validate(&external, &seen).unwrap();
    let asleep = plan(&of, &seen, course(&of, None));
    let (_, findings) = derive(&of, &seen, &asleep, None, &Wrote::default(), Timestamp::UNIX_EPOCH);
    assert!(finding_of(&findings, ConditionType::Suspended).0, "{findings:?}");

    external.spec.suspend = false;
    let of = validate(&external, &seen).unwrap();
    let at_rest = |seen: &Seen| plan(&of, seen, course(&of, None)).at_rest.len();
    seen.database = Some(database());
    assert_eq!(at_rest(&seen), 0);
    seen.external_cache = Some(ExternalCache::NoSecret);
    assert_eq!(at_rest(&seen), 6);
}

#[test]
fn a_store_that_sleeps_tells_what_will_run_when_it_wakes() {
    let seen = complete("1.0.0");
    let told = |change: &Value| {
        let findings = asked_anew(change, &seen, true);
        let (holds, _, message) = finding_of(&findings, ConditionType::Upgraded);
        (holds, message.to_owned())
    };
    assert_eq!(told(&json!([])), (true, "version 1.0.0 runs when the store wakes".to_owned()));
    let other = told(&json!([{"name": "cart", "version": "1.1.0"}]));
    assert_eq!(other, (false, "version 1.0.0 runs when the store wakes, and after that: cart 1.1.0".to_owned()));
    let mut new = store("1.0.0");
    new.spec.suspend = true;
    new.spec.image.tag = Some("1.0.0-slim".to_owned());
    let (of, before) = (validate(&new, &seen).unwrap(), look(&seen, &Wrote::default()).0);
    let asleep = plan(&of, &seen, course(&of, Some(&before)));
    let (_, findings) = derive(&of, &seen, &asleep, Some(&before), &Wrote::default(), Timestamp::UNIX_EPOCH);
    let (holds, _, message) = finding_of(&findings, ConditionType::Upgraded);
    assert_eq!((holds, message), (false, "version 1.0.0 is rolled out when the store wakes"));

    let mut bad = store("2.0.0");
    bad.spec.suspend = true;
    let (of, before) = (validate(&bad, &seen).unwrap(), went_back(&seen));
    let plan = plan(&of, &seen, course(&of, Some(&before)));
    let (_, findings) = derive(&of, &seen, &plan, Some(&before), &Wrote::default(), Timestamp::UNIX_EPOCH);
    let expected = "version 2.0.0 was taken back and is not tried again: version 1.0.0 runs when the store wakes";
    assert_eq!(finding_of(&findings, ConditionType::Upgraded), (false, Reason::UpgradeRolledBack, expected));
}
