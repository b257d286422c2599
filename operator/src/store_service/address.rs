//! Where a service is reached from outside the cluster. Pure.

use api::PortName;

use super::{dereference::Seen, validate::Validated};

/// The address, as far as it is known. That of a node port is that of every node.
pub(super) fn endpoint(of: &Validated, seen: &Seen) -> Option<String> {
    if let Some(ingress) = &of.exposure.ingress {
        let scheme = if ingress.tls.is_some() { "https" } else { "http" };
        let host = of.host.clone().or_else(|| of_ingress(seen))?;
        return Some(format!("{scheme}://{host}"));
    }
    of.exposure.load_balancer?;
    let port = of.ports.iter().find(|port| port.name == PortName::Http)?;
    Some(format!("http://{}:{}", of_load_balancer(seen)?, port.port))
}

/// Whether the service waits for the address of its load balancer. An Ingress is not waited for: not every controller
/// notes an address on it.
pub(super) fn is_pending(of: &Validated, seen: &Seen) -> bool {
    of.exposure.load_balancer.is_some() && of_load_balancer(seen).is_none()
}

fn of_ingress(seen: &Seen) -> Option<String> {
    let status = seen.ingress.as_ref()?.status.as_ref()?.load_balancer.as_ref()?;
    let entry = status.ingress.as_ref()?.first()?;
    host(entry.hostname.as_ref(), entry.ip.as_ref())
}

fn of_load_balancer(seen: &Seen) -> Option<String> {
    let status = seen.service.as_ref()?.status.as_ref()?.load_balancer.as_ref()?;
    let entry = status.ingress.as_ref()?.first()?;
    host(entry.hostname.as_ref(), entry.ip.as_ref())
}

fn host(hostname: Option<&String>, ip: Option<&String>) -> Option<String> {
    let given = hostname.or(ip).filter(|host| !host.is_empty())?;
    Some(if given.contains(':') { format!("[{given}]") } else { given.clone() })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::store_service::validate::validate;

    fn service(host: Option<&str>, exposure: &Value) -> Validated {
        let service = serde_json::from_value(json!({
            "apiVersion": "greencommerce.dev/v1alpha1", "kind": "StoreService",
            "metadata": {"name": "green-gateway", "namespace": "shop"},
            "spec": {"store": "green", "image": "shop:1", "host": host, "exposure": exposure},
        }));
        validate(&service.unwrap(), &Seen::default()).unwrap()
    }

    fn seen(address: &Value) -> Seen {
        let status = json!({"status": {"loadBalancer": {"ingress": [address]}}});
        Seen {
            service: Some(Arc::new(serde_json::from_value(status.clone()).unwrap())),
            ingress: Some(Arc::new(serde_json::from_value(status).unwrap())),
            ..Seen::default()
        }
    }

    #[test]
    fn a_load_balancer_is_reached_at_the_address_it_was_given() {
        let of = service(None, &json!({"loadBalancer": {}}));
        assert!(is_pending(&of, &Seen::default()));
        assert_eq!(endpoint(&of, &Seen::default()), None);
        for (address, url) in [
            (json!({"ip": "192.0.2.7"}), "http://192.0.2.7:8080"),
            (json!({"ip": "2001:db8::7"}), "http://[2001:db8::7]:8080"),
            (json!({"hostname": "lb.example"}), "http://lb.example:8080"),
        ] {
            assert!(!is_pending(&of, &seen(&address)));
            assert_eq!(endpoint(&of, &seen(&address)).as_deref(), Some(url));
        }
    }

    #[test]
    fn an_ingress_is_reached_at_its_host_or_else_at_its_address() {
        let tls = json!({"ingress": {"tls": {"secretName": "certificate"}}});
        let named = service(Some("shop.example.com"), &tls);
        assert_eq!(endpoint(&named, &Seen::default()).as_deref(), Some("https://shop.example.com"));
        let unnamed = service(None, &json!({"ingress": {}}));
        assert_eq!(endpoint(&unnamed, &Seen::default()), None);
        assert!(!is_pending(&unnamed, &Seen::default()));
        assert_eq!(endpoint(&unnamed, &seen(&json!({"ip": "192.0.2.7"}))).as_deref(), Some("http://192.0.2.7"));
    }

    #[test]
    fn what_is_exposed_on_nodes_or_nowhere_has_no_address_of_its_own() {
        for exposure in [json!({"nodePort": {"port": 30080}}), json!({"internal": {}})] {
            assert_eq!(endpoint(&service(None, &exposure), &Seen::default()), None);
        }
    }
}
