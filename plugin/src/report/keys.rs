//! Names under which secrets are kept. Pure.

use std::sync::LazyLock;

use regex::Regex;

/// What a name ends in whose value is a secret. `secretName`, `tokenExpirationSeconds` and `topologyKey` are none; that
/// `bypass` is one costs little.
pub(super) const SECRET_NAME: &str = r"[A-Za-z0-9_./-]*(?:password|passwd|passphrase|pass|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|signing[_-]?key|encryption[_-]?key|credential|jaas[._-]?config|connection[_-]?string|dsn|cookie|authorization)(?:s|[._-]?(?:hash|value|text|data|key|id|b64|base64|old|new|v?\d+))*";

static FIELD: LazyLock<Regex> = LazyLock::new(|| pattern(&format!("(?i)^{SECRET_NAME}$")));
static FLAG: LazyLock<Regex> = LazyLock::new(|| pattern(&format!("(?i)^--?{SECRET_NAME}$")));
/// Of an environment variable more is suspected: nothing is lost but its value.
static VARIABLE: LazyLock<Regex> =
    LazyLock::new(|| pattern("(?i)pass|pwd|secret|token|key|credential|dsn|cookie|salt|signature|private|jaas"));
/// Fields of Kubernetes and of a Store that are named like a secret and only say which one is meant.
static REFERENCE: LazyLock<Regex> = LazyLock::new(|| pattern("^(?:secrets?|imagePullSecrets|pullSecrets)$"));
/// What such a reference has.
static REFERRING: LazyLock<Regex> =
    LazyLock::new(|| pattern("^(?:name|namespace|secretName|items|defaultMode|optional)$"));
/// What a volume with a pod's token has.
static PROJECTION: LazyLock<Regex> = LazyLock::new(|| pattern("^(?:path|audience|expirationSeconds)$"));
/// Entries of a Secret that say where to log in, not how.
static PUBLIC: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)^(?:host(?:name)?|port|user(?:name)?|database|dbname|namespace|type|(?:ca|tls)\.crt)$")
});

pub(super) fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the patterns of this program are constants, compiled by its tests")
}

/// Whether a field of that name holds a secret.
pub(super) fn is_secret_field(name: &str) -> bool {
    FIELD.is_match(name)
}

/// Whether a field of that name and with these fields in it names a secret rather than holds one.
pub(super) fn is_reference<'a>(name: &str, mut fields: impl Iterator<Item = &'a String>) -> bool {
    let known = match name {
        "serviceAccountToken" => &PROJECTION,
        _ if REFERENCE.is_match(name) => &REFERRING,
        _ => return false,
    };
    fields.all(|field| known.is_match(field))
}

/// Whether the word after that option of a command is a secret.
pub(super) fn is_secret_flag(word: &str) -> bool {
    FLAG.is_match(word)
}

/// Whether an environment variable of that name may hold a secret.
pub(super) fn is_secret_variable(name: &str) -> bool {
    VARIABLE.is_match(name)
}

/// Whether an entry of a Secret may be read by everybody.
pub(super) fn is_public_entry(key: &str) -> bool {
    PUBLIC.is_match(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_hold_secrets_are_told_from_those_that_name_them() {
        for name in [
            "password",
            "clientSecret",
            "api_key",
            "ACCESS-KEY",
            "token",
            "DB_PASSWORD_HASH",
            "secrets",
            "sasl.jaas.config",
            "token_v2",
            "pass",
            "smtpPass",
            "DB_PASS",
        ] {
            assert!(is_secret_field(name), "{name}");
        }
        for name in [
            "secretName",
            "secretRef",
            "tokenExpirationSeconds",
            "topologyKey",
            "key",
            "passwordSecretRef",
            "clusterDNS",
            "SecretMissing",
            "passed",
            "passthrough",
        ] {
            assert!(!is_secret_field(name), "{name}");
        }
    }

    #[test]
    fn only_what_looks_like_a_reference_is_one() {
        let is_reference = |name, fields: &[&str]| {
            let fields: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
            is_reference(name, fields.iter())
        };
        assert!(is_reference("secret", &["secretName", "items", "optional"]));
        assert!(is_reference("imagePullSecrets", &["name"]));
        assert!(is_reference("serviceAccountToken", &["path", "expirationSeconds"]));
        assert!(!is_reference("secret", &["name", "value"]));
        assert!(!is_reference("credentials", &["name"]));
        assert!(!is_reference("clientToken", &["path"]));
    }

    #[test]
    fn of_variables_more_is_suspected() {
        for name in ["PAYSTACK_KEY", "PGPASS", "SMTP_PASSWORD", "SESSION_SALT"] {
            assert!(is_secret_variable(name), "{name}");
        }
        for name in ["KAFKA_BOOTSTRAP_SERVERS", "LOG_LEVEL", "AUTH_HTTP_URL", "STORE_CURRENCY"] {
            assert!(!is_secret_variable(name), "{name}");
        }
    }
}
