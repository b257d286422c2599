//! Which store is meant. Pure.

use crate::error::Error;

/// The store that was named, or the only one of the namespace.
pub(crate) fn choose(named: Option<&str>, stores: &[String], namespace: &str) -> Result<String, Error> {
    match (named, stores) {
        (Some(name), _) if stores.iter().any(|store| store == name) => Ok(name.to_owned()),
        (None, [only]) => Ok(only.clone()),
        (_, []) => Err(Error::usage(format!("namespace {namespace} has no Store: name another one with --namespace"))),
        (Some(name), _) => Err(Error::usage(format!(
            "namespace {namespace} has no Store named {name}; there is {}",
            stores.join(", ")
        ))),
        (None, _) => {
            Err(Error::usage(format!("namespace {namespace} has several Stores: name one of {}", stores.join(", "))))
        }
    }
}

/// Store and service of `logs [STORE] [SERVICE]`: one name that no store has is that of a service.
pub(crate) fn choose_service(
    names: (Option<&str>, Option<&str>),
    stores: &[String],
    namespace: &str,
) -> Result<(String, Option<String>), Error> {
    match names {
        (Some(name), None) if stores.len() == 1 && stores[0] != name => Ok((stores[0].clone(), Some(name.to_owned()))),
        (store, service) => Ok((choose(store, stores, namespace)?, service.map(str::to_owned))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stores(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_only_store_needs_no_name() {
        assert_eq!(choose(None, &stores(&["green"]), "shop").unwrap(), "green");
        assert_eq!(choose(Some("blue"), &stores(&["blue", "green"]), "shop").unwrap(), "blue");
    }

    #[test]
    fn several_stores_are_listed() {
        let error = choose(None, &stores(&["blue", "green"]), "shop").unwrap_err();
        assert_eq!(error.to_string(), "namespace shop has several Stores: name one of blue, green");
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn a_store_that_is_not_there_is_an_error_that_lists_those_that_are() {
        let error = choose(Some("red"), &stores(&["blue", "green"]), "shop").unwrap_err();
        assert_eq!(error.to_string(), "namespace shop has no Store named red; there is blue, green");
        let error = choose(None, &[], "shop").unwrap_err();
        assert_eq!(error.to_string(), "namespace shop has no Store: name another one with --namespace");
    }

    #[test]
    fn one_name_is_a_service_where_no_store_has_it() {
        let one = stores(&["green"]);
        let pick = |names| choose_service(names, &one, "shop").map_err(|error| error.to_string());
        assert_eq!(pick((Some("orders"), None)), Ok(("green".to_owned(), Some("orders".to_owned()))));
        assert_eq!(pick((Some("green"), None)), Ok(("green".to_owned(), None)));
        assert_eq!(pick((Some("green"), Some("orders"))), Ok(("green".to_owned(), Some("orders".to_owned()))));
        assert_eq!(pick((None, None)), Ok(("green".to_owned(), None)));
        assert!(choose_service((Some("orders"), None), &stores(&["blue", "green"]), "shop").is_err());
    }
}
