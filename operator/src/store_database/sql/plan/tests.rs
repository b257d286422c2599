//! Which statements are planned for which sight of a server.

use super::{super::password::Password, *};

fn wanted() -> Wanted {
    Wanted {
        name: Identifier::parse("orders").unwrap(),
        seat: Seat::First,
        password: Password::from_secret("secret").unwrap(),
    }
}

fn role() -> Role {
    Role {
        wrong_attributes: vec![],
        comment: None,
        held_by_admin: true,
        acts_as_owner: false,
        sessions: 0,
        password_accepted: true,
    }
}

fn observed(role: Option<Role>, database: Option<(&str, bool)>) -> Observed {
    let entry = |(owner, open_to_public): (&str, bool)| {
        ("orders".to_owned(), Database { owner: owner.to_owned(), open_to_public, identity: "1/5".to_owned() })
    };
    Observed {
        admin_is_superuser: false,
        roles: role.map(|role| ("orders".to_owned(), role)).into_iter().collect(),
        databases: database.map(entry).into_iter().collect(),
    }
}

fn shared() -> Tenancy {
    Tenancy::Shared(own_mark())
}

fn own_mark() -> Mark {
    Mark::new("shop", "recycled-goods", "7")
}

/// The role of a resource with this uid.
fn role_of(uid: &str) -> Role {
    Role { comment: Some(Mark::new("shop", "recycled-goods", uid).text()), ..role() }
}

fn described(tenancy: &Tenancy, observed: &Observed) -> Vec<String> {
    database(&wanted(), tenancy, observed).unwrap().iter().map(ToString::to_string).collect()
}

#[test]
fn an_empty_server_gets_role_database_and_a_closed_door() {
    assert_eq!(
        described(&Tenancy::Whole, &Observed::default()),
        [
            "create role \"orders\"",
            "join role \"orders\"",
            "create database \"orders\"",
            "close database \"orders\" to the public",
        ],
    );
}

#[test]
fn a_superuser_need_not_join_the_role() {
    let empty = Observed { admin_is_superuser: true, ..Observed::default() };
    assert!(!described(&Tenancy::Whole, &empty).contains(&"join role \"orders\"".to_owned()));
}

#[test]
fn a_server_as_wanted_needs_nothing() {
    assert!(described(&Tenancy::Whole, &observed(Some(role()), Some(("orders", false)))).is_empty());
}

#[test]
fn each_drift_is_answered_by_the_one_statement_that_undoes_it() {
    let whole = Tenancy::Whole;
    let drifted = Role { wrong_attributes: vec!["LOGIN", "NOSUPERUSER"], ..role() };
    assert_eq!(
        described(&whole, &observed(Some(drifted), Some(("orders", false)))),
        ["alter role \"orders\": LOGIN NOSUPERUSER"],
    );
    let refused = Role { password_accepted: false, ..role() };
    assert_eq!(
        described(&whole, &observed(Some(refused), Some(("orders", false)))),
        ["set the password of role \"orders\""],
    );
    assert_eq!(
        described(&whole, &observed(Some(role()), Some(("orders", true)))),
        ["close database \"orders\" to the public"],
    );
    assert_eq!(
        described(&whole, &observed(Some(role()), Some(("postgres", false)))),
        ["give database \"orders\" to its role"],
    );
    assert_eq!(
        described(&whole, &observed(Some(role()), None)),
        ["create database \"orders\"", "close database \"orders\" to the public"],
    );
}

#[test]
fn on_a_shared_server_what_somebody_else_made_is_left_alone() {
    let stranger = database(&wanted(), &shared(), &observed(Some(role()), None));
    assert!(matches!(stranger, Err(Conflict::Role(_))));

    let ours = role_of("7");
    let taken = database(&wanted(), &shared(), &observed(Some(ours.clone()), Some(("sap", false))));
    assert!(matches!(taken, Err(Conflict::Database { owner, .. }) if owner == "sap"));
    assert!(described(&shared(), &observed(Some(ours), Some(("orders", false)))).is_empty());
}

#[test]
fn removal_takes_our_databases_and_roles_and_nobody_elses() {
    let names = [wanted().name];
    let removed = |tenancy: &Tenancy, observed: &Observed| -> Vec<String> {
        removal(&names, tenancy, observed).iter().map(ToString::to_string).collect()
    };
    let ours = role_of("7");
    assert!(removed(&shared(), &observed(Some(role()), Some(("orders", false)))).is_empty());
    assert_eq!(
        removed(&shared(), &observed(Some(ours.clone()), Some(("orders", false)))),
        ["drop database \"orders\"", "drop role \"orders\""],
    );
    assert_eq!(removed(&shared(), &observed(Some(ours), Some(("sap", false)))), ["drop role \"orders\""]);
    assert!(removed(&Tenancy::Whole, &Observed::default()).is_empty());
}

#[test]
fn only_on_a_server_of_our_own_the_maintenance_databases_are_closed() {
    let open = Database { owner: "postgres".to_owned(), open_to_public: true, identity: "1/5".to_owned() };
    let seen = Observed { databases: [("postgres".to_owned(), open)].into(), ..Observed::default() };
    assert_eq!(maintenance(&Tenancy::Whole, &seen).len(), 1);
    assert!(maintenance(&shared(), &seen).is_empty());
}

#[test]
fn the_sql_quotes_names_and_constants() {
    let name = Identifier::parse("orders").unwrap();
    let create =
        Statement::CreateRole { role: name.clone(), password: wanted().password, mark: Some("it's ours".to_owned()) };
    let sql = create.sql().unwrap();
    assert!(sql[0].starts_with("CREATE ROLE \"orders\" LOGIN PASSWORD 'SCRAM-SHA-256$4096:"));
    assert_eq!(sql[1], "COMMENT ON ROLE \"orders\" IS 'it''s ours'");
    let revoke = Statement::RevokePublic { database: "a\"b".to_owned() };
    assert_eq!(revoke.sql().unwrap(), ["REVOKE ALL ON DATABASE \"a\"\"b\" FROM PUBLIC"]);
}

#[test]
fn neither_logs_nor_debug_output_show_a_password_or_a_verifier() {
    let statement = Statement::SetPassword { role: wanted().name, password: wanted().password };
    let shown = format!("{statement} {statement:?}");
    assert!(!shown.contains("SCRAM") && !shown.contains("secret"), "{shown}");
}

fn second(roles: [Option<Role>; 2]) -> Vec<String> {
    let names = ["orders", "orders-b"].map(str::to_owned);
    let mut observed = observed(None, Some(("orders", false)));
    observed.roles = names.into_iter().zip(roles).filter_map(|(name, role)| Some((name, role?))).collect();
    let wanted = Wanted { seat: Seat::Second, ..wanted() };
    database(&wanted, &Tenancy::Whole, &observed).unwrap().iter().map(ToString::to_string).collect()
}

#[test]
fn the_second_role_acts_as_the_owner_who_stays_as_he_is() {
    let acting = || Role { acts_as_owner: true, ..role() };
    let locked = || Role { wrong_attributes: vec![MAY_LOG_IN], ..role() };
    assert_eq!(second([Some(role()), None]), ["create role \"orders-b\"", "let role \"orders-b\" act as \"orders\""]);
    assert!(second([Some(role()), Some(acting())]).is_empty());
    assert!(second([Some(locked()), Some(acting())]).is_empty());
    assert_eq!(second([Some(locked()), Some(role())]), ["let role \"orders-b\" act as \"orders\""]);
    assert_eq!(second([None, Some(acting())]), ["create role \"orders\""]);
}

#[test]
fn a_role_out_of_use_is_locked_before_its_sessions_end() {
    let close = |role: Role| -> Vec<String> {
        let name = wanted().name;
        let seen = observed(Some(role), None);
        retirement(&name, &Tenancy::Whole, &seen).iter().map(ToString::to_string).collect()
    };
    let locked = Role { wrong_attributes: vec![MAY_LOG_IN], sessions: 1, ..role() };
    assert_eq!(close(role()), ["lock role \"orders\"", "end the sessions of role \"orders\""]);
    assert_eq!(close(locked), ["end the sessions of role \"orders\""]);
    let foreign = Role { held_by_admin: false, ..role() };
    assert_eq!(close(foreign)[0], "join role \"orders\"");
    assert!(retirement(&wanted().name, &shared(), &observed(Some(role()), None)).is_empty());
}

#[test]
fn a_role_out_of_use_is_open_while_it_can_log_in_or_is_logged_in() {
    let seen = |role: Role| spare(&wanted().name, &Tenancy::Whole, &observed(Some(role), None));
    let locked = |sessions| Role { wrong_attributes: vec![MAY_LOG_IN], sessions, ..role() };
    assert_eq!(seen(role()), Spare::Open { sessions: 0 });
    assert_eq!(seen(locked(2)), Spare::Open { sessions: 2 });
    assert_eq!(seen(locked(0)), Spare::Closed);
    assert_eq!(spare(&wanted().name, &Tenancy::Whole, &observed(None, None)), Spare::Closed);
    assert_eq!(spare(&wanted().name, &shared(), &observed(Some(role()), None)), Spare::Taken);
}

#[test]
fn a_namesakes_role_is_a_conflict_and_is_taken_over_only_when_that_is_asked_for() {
    let seen = observed(Some(role_of("of another")), Some(("orders", false)));
    let conflict = database(&wanted(), &shared(), &seen).unwrap_err();
    assert_eq!(conflict, Conflict::Namesake(wanted().name, "StoreDatabase shop/recycled-goods".to_owned()));
    assert!(conflict.to_string().contains("Set adoptRetainedData to true"), "{conflict}");
    assert_eq!(spare(&wanted().name, &shared(), &seen), Spare::Taken);

    let adopting = Tenancy::Shared(own_mark().adopting(true));
    assert_eq!(described(&adopting, &seen), ["mark role \"orders\" as ours"]);
    assert!(described(&adopting, &observed(Some(role_of("7")), Some(("orders", false)))).is_empty());
    let foreign = Role { comment: Some("greencommerce.dev StoreDatabase shop/other uid 7".to_owned()), ..role() };
    assert!(database(&wanted(), &adopting, &observed(Some(foreign), None)).is_err());
}

#[test]
fn a_mark_without_a_uid_is_ours_and_gets_one_on_both_roles() {
    let former = || Role { comment: Some("greencommerce.dev StoreDatabase shop/recycled-goods".to_owned()), ..role() };
    let mut seen = observed(Some(former()), Some(("orders", false)));
    seen.roles.insert("orders-b".to_owned(), Role { wrong_attributes: vec![MAY_LOG_IN], ..former() });
    assert_eq!(described(&shared(), &seen), ["mark role \"orders\" as ours", "mark role \"orders-b\" as ours"]);
    let statements = database(&wanted(), &shared(), &seen).unwrap();
    let comment = "COMMENT ON ROLE \"orders\" IS 'greencommerce.dev StoreDatabase shop/recycled-goods uid 7'";
    assert_eq!(statements[0].sql().unwrap(), [comment]);
}

#[test]
fn what_a_namesake_left_is_not_removed_with_this_resource() {
    let seen = observed(Some(role_of("of another")), Some(("orders", false)));
    assert!(removal(&[wanted().name], &shared(), &seen).is_empty());
}
