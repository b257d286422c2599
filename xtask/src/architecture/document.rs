//! Reading ARCHITECTURE.md.

use std::collections::BTreeSet;

/// What is wrong with the table in the section "Code map": a package's folder that it does not list, or one listed that is
/// not there. Each row begins with a folder in backticks.
pub(super) fn code_map(document: &str, packages: &[String], is_folder: impl Fn(&str) -> bool) -> Vec<String> {
    let rows = section(document, "Code map").lines().filter_map(|line| line.strip_prefix("| `"));
    let listed: BTreeSet<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    let missing = packages.iter().filter(|folder| !listed.contains(folder.as_str()));
    let missing = missing.map(|folder| format!("the code map does not list `{folder}`"));
    let gone = listed.iter().filter(|folder| !is_folder(folder));
    missing.chain(gone.map(|folder| format!("the code map lists `{folder}`, which is not there"))).collect()
}

/// What is wrong with the section "Invariants of absence": each of its items begins with the name of a rule in backticks,
/// and each rule has an item.
pub(super) fn invariants(document: &str, rules: &[&str]) -> Vec<String> {
    let items = section(document, "Invariants of absence").lines().filter_map(|line| line.strip_prefix("- "));
    let stated: BTreeSet<&str> = items.map(|item| code_word(item).unwrap_or(item)).collect();
    let known: BTreeSet<&str> = rules.iter().copied().collect();
    let unstated = known.difference(&stated).map(|name| format!("the invariants do not state `{name}`"));
    let unchecked = stated.difference(&known).map(|name| format!("nothing checks the invariant `{name}`"));
    unstated.chain(unchecked).collect()
}

/// The text from the heading `## title` to the next one of that level.
fn section<'a>(document: &'a str, title: &str) -> &'a str {
    let heading = format!("## {title}\n");
    let Some((_, rest)) = document.split_once(&heading) else { return "" };
    rest.split("\n## ").next().unwrap_or(rest)
}

/// The first word in backticks.
fn code_word(text: &str) -> Option<&str> {
    text.split('`').nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "# Architecture\n\n## Code map\n\n| folder | what |\n|---|---|\n| `crates/kit` | `kit/` |\n\
        | `old` | gone |\n\n## Invariants of absence\n\n- `no-ring`: the crate `ring` is not used\n- `stale`: x\n\n## More\n\n| `crates/x` | x |\n";

    #[test]
    fn folders_missing_on_either_side_are_found() {
        let packages = ["crates/kit".to_owned(), "services/cart".to_owned()];
        let wrong = code_map(DOCUMENT, &packages, |folder| folder == "crates/kit");
        assert_eq!(
            wrong,
            ["the code map does not list `services/cart`", "the code map lists `old`, which is not there"]
        );
    }

    #[test]
    fn rules_without_an_item_and_items_without_a_rule_are_found() {
        let wrong = invariants(DOCUMENT, &["no-ring", "pure-domain"]);
        assert_eq!(wrong, ["the invariants do not state `pure-domain`", "nothing checks the invariant `stale`"]);
    }

    #[test]
    fn a_document_without_the_sections_lists_nothing() {
        assert_eq!(code_map("", &[], |_| true), Vec::<String>::new());
        assert_eq!(invariants("", &["a"]).len(), 1);
    }
}
