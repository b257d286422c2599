//! Secrets in running text. Pure.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::keys::{SECRET_NAME, pattern};

/// What stands where a secret stood.
pub(super) const REDACTED: &str = "<redacted>";

/// Patterns, and what takes the place of a match; in this order, as some make others unnecessary.
static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    // In double quotes, also escaped ones; in single quotes; in brackets, up to the last one of the line; or one word.
    let value = r#"(?:\\*"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.|'')*'?|[{\[](?:[^\r\n]*[}\]]|[^\r\n]*)|[^\s&]+)"#;
    let assigned = format!(r#"(?i)\b({SECRET_NAME}\\*["']?[ \t]*(?:=>|:=|[:=])[ \t]*){value}"#);
    let flagged = format!(r"(?i)(\s--?{SECRET_NAME}[ =]){value}");
    [
        (r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\z)", REDACTED),
        (r"eyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){1,4}", REDACTED),
        // Up to the end of the line: these headers hold several values.
        (r#"(?i)\b((?:set-)?cookie2?\\*["']?[ \t]*[:=])[^\r\n]+"#, "${1}<redacted>"),
        (r#"(?i)\b((?:proxy-)?authorization\\*["']?[ \t]*[:=])[^\r\n]+"#, "${1}<redacted>"),
        (r"(?i)\b(bearer|basic)[ \t]+[A-Za-z0-9+/_.~=:-]{4,}", "${1} <redacted>"),
        // Up to the last @ of the word: a password may have one.
        (r"([A-Za-z][A-Za-z0-9+.-]*://)\S*@", "${1}<redacted>@"),
        (assigned.as_str(), "${1}<redacted>"),
        (flagged.as_str(), "${1}<redacted>"),
        (r#"(?is)\b((?:password|identified\s+by)\s+)(?:E?'(?:[^'\\]|\\.|'')*'?|"(?:[^"\\]|\\.)*"?|\$\w*\$.*?\$\w*\$)"#, "${1}<redacted>"),
        (r"(?i)scram-sha-\d+\$\S+", REDACTED),
        (r"\$(?:argon2\w*|2[abxy]|s?crypt|pbkdf2[\w-]*|[156])\$\S+", REDACTED),
        (r"\bmd5[0-9a-f]{32}\b", REDACTED),
        (r"\b(?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]{6,}", REDACTED),
        (r"\bwhsec_[A-Za-z0-9+/=]{8,}|\bgh[oprsu]_\w{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}|\bxox[abprs]-[\w-]{10,}|\bAKIA[0-9A-Z]{16}\b", REDACTED),
        (r#"(?:[\w.%+'!#$*/=?^{|}~-]+|"[^"\r\n]+")(?:@|%40)(?:[\w-]+(?:\.[\w-]+)+|\[[0-9A-Fa-f:.]+\])"#, "<e-mail>"),
    ]
    .map(|(text, replacement)| (pattern(text), replacement))
    .into()
});

/// The text without what looks like a secret or an e-mail address.
pub(super) fn redacted(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, replacement) in PATTERNS.iter() {
        if pattern.is_match(&text) {
            text = pattern.replace_all(&text, |found: &Captures<'_>| expand(found, replacement)).into_owned();
        }
    }
    text
}

fn expand(found: &Captures<'_>, replacement: &str) -> String {
    let mut text = String::new();
    found.expand(replacement, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nasty_lines_lose_their_secrets() {
        // Every line has the secret `hunter2` in it, or `hunter` and the rest of it.
        for line in [
            "password=hunter2",
            "SMTP_PASS=hunter2",
            r#"{"pass":"hunter2"}"#,
            r#"read {"credentials": {"login": "hunter2"}, "tries": 3}"#,
            "credentials: {user: {name: ada}, pass: hunter2}",
            "token: [a, hunter2",
            "argv: tool --pass hunter2",
            "Password: hunter2",
            "pwd := hunter2",
            "DB_PASSWORD_2='hunter2 with spaces'",
            r#"{"password":"hunter2","user":"x"}"#,
            r#"{"password": "a\"hunter2"}"#,
            r#"msg="{\"password\":\"hunter2\"}""#,
            r#"{\\\"token\\\":\\\"hunter2\\\"}"#,
            "{'client_secret' => 'hunter2'}",
            "GET /reset?token=hunter2&next=/ HTTP/1.1",
            "postgres://orders:hunter2@green-postgres:5432/orders",
            "postgres://orders:p@ss@hunter2@green-postgres:5432/orders",
            "postgres://orders:a/hunter2@green-postgres/orders",
            r#"redis://:hun"hunter2@cache:6379"#,
            "https://hunter2@github.com/x",
            "could not connect to amqp+ssl://u:hunter2@h?x=1: refused",
            "Authorization: Bearer hunter2",
            "authorization=Basic aHVudGVyMg== hunter2",
            r#"headers={"authorization": "Bearer hunter2"}"#,
            "proxy-authorization: Digest username=x, response=hunter2",
            "sent bearer hunter2.hunter2",
            "cookie: a=1; session=hunter2; b=2",
            "Set-Cookie: refresh=hunter2; HttpOnly",
            "ALTER ROLE orders WITH LOGIN PASSWORD 'hunter2'",
            "ALTER ROLE orders PASSWORD 'it''s hunter2'",
            "CREATE USER x IDENTIFIED BY 'hunter2'",
            "alter role x password $$hunter2$$",
            "argv: psql --password hunter2 -h x",
            "argv: tool --api-key=hunter2",
            r#"sasl.jaas.config=org.apache.kafka.X required username="u" password="hunter2";"#,
            "password SCRAM-SHA-256$4096:hunter2$x:y",
            "stored $argon2id$v=19$m=19456,t=2,p=1$hunter2$hunter2",
            "stored $2b$12$hunter2hunter2",
            "eyJhbGciOiJFZERTQSJ9.hunter2.hunter2",
            "token eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.hunter2 expired",
            "key sk_live_hunter2",
            "webhook whsec_hunter2hunter2",
            "-----BEGIN PRIVATE KEY-----\nhunter2\nhunter2\n-----END PRIVATE KEY-----",
            "-----BEGIN EC PRIVATE KEY-----\nhunter2 and the end is cut off",
            r"-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----",
            "mail to hunter2@example.com bounced",
            "mail to hunter2+shop@mail.example.co.uk bounced",
            "user=hunter2%40example.com",
            "mail to \"hunter2 x\"@example.com",
            "mail to jörg.hunter2@exämple.de",
            "mail to hunter2@[192.0.2.1]",
        ] {
            let clean = redacted(line);
            assert!(!clean.contains("hunter2"), "{line}\n  became {clean}");
            assert!(clean.contains(REDACTED) || clean.contains("<e-mail>"), "{clean}");
        }
    }

    #[test]
    fn what_support_needs_stays() {
        for line in [
            "SecretMissing: Secret shop/green-auth-database does not exist",
            "pod green-gateway-7f9c cannot get the image greencommerce/services@sha256:0a1b: not found",
            "http://green-gateway.shop.svc:8080/api/products?limit=2",
            "GET /api/products 200 12ms request_id=r-1",
            "2026-01-01T00:00:00Z INFO order placed number=GC-2026-000001",
            "the Secret lacks the key uri",
            "secretName: green-auth-database",
            "tokenExpirationSeconds: 3607",
            "bootstrap green-kafka.shop.svc:9092,other:9092",
            "14 tests passed: all of them",
        ] {
            assert_eq!(redacted(line), line);
        }
    }

    #[test]
    fn only_the_secret_goes() {
        let line = "connect postgres://orders:x@green-postgres:5432/orders failed, password=x again";
        let clean = "connect postgres://<redacted>@green-postgres:5432/orders failed, password=<redacted> again";
        assert_eq!(redacted(line), clean);
        assert_eq!(redacted(clean), clean);
    }
}
