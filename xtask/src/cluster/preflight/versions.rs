//! Whether Go, Java and Maven are there and new enough.

const JAVA: u32 = 17;
const MAVEN: (u32, u32, u32) = (3, 6, 3);

pub(super) fn go_problem(output: Option<&str>, required: (u32, u32, u32)) -> Option<String> {
    let needed = dotted(required);
    match output.map(|output| (output, numbers(output))) {
        None => Some(format!("Go is missing: install Go {needed} or newer and put `go` on PATH")),
        Some((_, Some(found))) if found >= required => None,
        Some((_, Some(found))) => Some(format!("Go {} is too old: install Go {needed} or newer", dotted(found))),
        Some((output, None)) => {
            Some(format!("`go env GOVERSION` says {:?}: install Go {needed} or newer", output.trim()))
        }
    }
}

pub(super) fn java_problem(output: Option<&str>) -> Option<String> {
    match output.and_then(numbers) {
        None => Some(format!("Java is missing: install a JDK {JAVA} (Debian: openjdk-{JAVA}-jdk-headless)")),
        Some(found) if found.0 >= JAVA => None,
        Some(found) => {
            Some(format!("Java {} is too old: install a JDK {JAVA} (Debian: openjdk-{JAVA}-jdk-headless)", found.0))
        }
    }
}

pub(super) fn maven_problem(output: Option<&str>) -> Option<String> {
    match output.and_then(numbers) {
        None => Some("Maven is missing: install it (Debian: maven)".to_owned()),
        Some(found) if found >= MAVEN => None,
        Some(found) => Some(format!("Maven {} is too old: install {} or newer", dotted(found), dotted(MAVEN))),
    }
}

/// The first dotted number in a text, such as `(1, 26, 8)` of `go1.26.8`; missing parts count as 0. Maven prints its version in bold: an
/// escape sequence is not a version.
fn numbers(text: &str) -> Option<(u32, u32, u32)> {
    let text = text
        .split('\u{1b}')
        .map(|part| part.split_once('m').filter(|_| part.starts_with('[')).map_or(part, |(_, rest)| rest))
        .collect::<String>();
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let end = text[start..].find(|c: char| !c.is_ascii_digit() && c != '.').map_or(text.len(), |end| start + end);
    let mut parts = text[start..end].split('.').map(|part| part.parse().unwrap_or(0));
    Some((parts.next()?, parts.next().unwrap_or(0), parts.next().unwrap_or(0)))
}

fn dotted((major, minor, patch): (u32, u32, u32)) -> String {
    format!("{major}.{minor}.{patch}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_the_programs_print() {
        assert_eq!(numbers("go1.26.8\n"), Some((1, 26, 8)));
        assert_eq!(numbers("openjdk 17.0.15 2025-04-15"), Some((17, 0, 15)));
        assert_eq!(numbers("\u{1b}[1mApache Maven 3.8.7"), Some((3, 8, 7)));
        assert_eq!(numbers("devel"), None);
    }

    #[test]
    fn old_and_missing_programs_are_problems() {
        assert!(go_problem(Some("go1.26.4"), (1, 26, 4)).is_none());
        assert!(go_problem(Some("go1.26.3"), (1, 26, 4)).is_some());
        assert!(go_problem(None, (1, 26, 4)).is_some());
        assert!(java_problem(Some("openjdk 11.0.1")).is_some());
        assert!(java_problem(Some("openjdk 21")).is_none());
        assert!(maven_problem(Some("Apache Maven 3.8.7")).is_none());
    }
}
