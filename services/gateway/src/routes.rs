//! The route table: which service answers which paths.

use std::str::FromStr;

use http::{Uri, uri::Authority};
use serde::Deserialize;

/// A path and the service that answers whatever is under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    prefix: String,
    upstream: Authority,
}

/// Routes, the longest prefix first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RouteTable(Vec<Route>);

/// Why a route table is none.
#[derive(Debug, thiserror::Error)]
pub enum RoutesError {
    /// The file cannot be read.
    #[error("the route table cannot be read")]
    Read(#[source] std::io::Error),
    /// It is not a list of routes.
    #[error("the route table is malformed")]
    Malformed(#[source] serde_yaml::Error),
    /// A prefix does not begin with a slash, or ends with one.
    #[error("{0:?} is not the beginning of paths: it must be like /api/products")]
    Prefix(String),
    /// An upstream is not `http://host:port`.
    #[error("{0:?} is not the address of a service: it must be like http://shop-catalog:8080")]
    Upstream(String),
    /// A prefix stands there twice.
    #[error("{0:?} has two routes")]
    Twice(String),
    /// There is none.
    #[error("there are no routes: set ROUTES_FILE")]
    None,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    routes: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    prefix: String,
    upstream: String,
}

impl Route {
    /// Paths under `prefix` go to the service at `upstream`, `http://host:port`.
    pub fn new(prefix: &str, upstream: &str) -> Result<Self, RoutesError> {
        if !prefix.starts_with('/') || prefix.len() > 1 && prefix.ends_with('/') {
            return Err(RoutesError::Prefix(prefix.to_owned()));
        }
        let refused = || RoutesError::Upstream(upstream.to_owned());
        let uri: Uri = upstream.trim_end_matches('/').parse().map_err(|_| refused())?;
        if uri.scheme_str() != Some("http") || uri.path().len() > 1 || uri.query().is_some() {
            return Err(refused());
        }
        let upstream = uri.authority().cloned().ok_or_else(refused)?;
        Ok(Self { prefix: prefix.to_owned(), upstream })
    }

    /// What its paths begin with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// `host:port` of the service.
    pub(crate) const fn upstream(&self) -> &Authority {
        &self.upstream
    }

    /// Whether `path` is under the prefix, at the boundary of a segment.
    fn covers(&self, path: &str) -> bool {
        self.prefix == "/"
            || path.strip_prefix(&self.prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl FromStr for Route {
    type Err = RoutesError;

    fn from_str(text: &str) -> Result<Self, RoutesError> {
        let (prefix, upstream) = text.split_once('=').ok_or_else(|| RoutesError::Upstream(text.to_owned()))?;
        Self::new(prefix, upstream)
    }
}

impl RouteTable {
    /// A table of `routes`.
    pub(crate) fn new(mut routes: Vec<Route>) -> Result<Self, RoutesError> {
        routes.sort_by(|one, other| (other.prefix.len(), &other.prefix).cmp(&(one.prefix.len(), &one.prefix)));
        if let Some(twice) = routes.windows(2).find(|pair| pair[0].prefix == pair[1].prefix) {
            return Err(RoutesError::Twice(twice[0].prefix.clone()));
        }
        if routes.is_empty() { Err(RoutesError::None) } else { Ok(Self(routes)) }
    }

    /// The table that `yaml` writes down: `routes: [{prefix: …, upstream: …}]`.
    pub(crate) fn parse(yaml: &str) -> Result<Self, RoutesError> {
        let File { routes } = serde_yaml::from_str(yaml).map_err(RoutesError::Malformed)?;
        let routes = routes.into_iter().map(|Entry { prefix, upstream }| Route::new(&prefix, &upstream));
        Self::new(routes.collect::<Result<_, _>>()?)
    }

    /// The route of `path`.
    pub(crate) fn find(&self, path: &str) -> Option<&Route> {
        self.0.iter().find(|route| route.covers(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "
routes:
- {prefix: /api/auth, upstream: 'http://auth:8080'}
- {prefix: /api/auth/admin, upstream: 'http://admin:8080/'}
- {prefix: /.well-known, upstream: 'http://auth:8080'}
";

    #[test]
    fn the_longest_prefix_wins_on_segment_boundaries() {
        let table = RouteTable::parse(TABLE).unwrap();
        let upstream = |path| table.find(path).map(|route| route.upstream().as_str());
        assert_eq!(upstream("/api/auth"), Some("auth:8080"));
        assert_eq!(upstream("/api/auth/login"), Some("auth:8080"));
        assert_eq!(upstream("/api/auth/admin/users"), Some("admin:8080"));
        assert_eq!(upstream("/api/auth/administrators"), Some("auth:8080"));
        assert_eq!(upstream("/.well-known/jwks.json"), Some("auth:8080"));
        for nowhere in ["/api/authority", "/api", "/", "//api/auth", "/API/auth", "/api%2Fauth"] {
            assert_eq!(upstream(nowhere), None, "{nowhere}");
        }
    }

    #[test]
    fn a_root_route_takes_the_rest() {
        let table = RouteTable::parse("routes: [{prefix: /, upstream: 'http://storefront:8080'}]").unwrap();
        assert!(table.find("/anything").is_some());
    }

    #[test]
    fn a_wrong_table_says_what_is_wrong() {
        let refusal = |yaml: &str| RouteTable::parse(yaml).unwrap_err().to_string();
        assert!(refusal("routes: [").contains("malformed"));
        assert!(refusal("routes: [{prefix: /a, upstream: 'http://a', weight: 1}]").contains("malformed"));
        assert!(refusal("routes: []").contains("no routes"));
        assert!(refusal("routes: [{prefix: a, upstream: 'http://a'}]").contains("\"a\""));
        assert!(refusal("routes: [{prefix: /a/, upstream: 'http://a'}]").contains("\"/a/\""));
        for upstream in ["a:80", "https://a", "http://a/path", "", "http://"] {
            assert!(
                refusal(&format!("routes: [{{prefix: /a, upstream: '{upstream}'}}]")).contains("address"),
                "{upstream}"
            );
        }
        assert!(
            refusal("routes: [{prefix: /a, upstream: 'http://a'}, {prefix: /a, upstream: 'http://b'}]").contains("two")
        );
    }
}
