//! The way in through the cluster's ingress controller.

use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule, IngressServiceBackend, IngressSpec,
    IngressTLS, ServiceBackendPort,
};

use super::{PortName, Validated, meta};

/// The Ingress, where the service is exposed by one.
pub(super) fn ingress(of: &Validated) -> Option<Ingress> {
    let exposure = of.exposure.ingress.as_ref()?;
    let tls = exposure.tls.as_ref().map(|tls| IngressTLS {
        hosts: of.host.clone().map(|host| vec![host]),
        secret_name: Some(tls.secret_name.clone()),
    });
    Some(Ingress {
        metadata: meta(of),
        spec: Some(IngressSpec {
            ingress_class_name: exposure.class_name.clone(),
            tls: tls.map(|tls| vec![tls]),
            rules: Some(vec![IngressRule {
                host: of.host.clone(),
                http: Some(HTTPIngressRuleValue { paths: vec![everything(of)] }),
            }]),
            ..IngressSpec::default()
        }),
        status: None,
    })
}

fn everything(of: &Validated) -> HTTPIngressPath {
    let port = ServiceBackendPort { name: Some(PortName::Http.as_str().to_owned()), number: None };
    HTTPIngressPath {
        path: Some("/".to_owned()),
        path_type: "Prefix".to_owned(),
        backend: IngressBackend {
            service: Some(IngressServiceBackend { name: of.name.clone(), port: Some(port) }),
            resource: None,
        },
    }
}
