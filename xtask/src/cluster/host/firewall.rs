//! The packet filter rules that kube-proxy, the kubelet and the network plugins leave behind.

use anyhow::Result;

use crate::ui::Step;

const FAMILIES: [(&str, &str); 2] = [("iptables-save", "iptables-restore"), ("ip6tables-save", "ip6tables-restore")];
const PREFIXES: [&str; 2] = ["KUBE-", "CNI-"];

/// Removes the cluster's chains and the rules that jump to them; every other rule stays as it is.
pub(super) fn clean(step: &Step) -> Result<()> {
    for (save, restore) in FAMILIES {
        let saved = step.command(save).attempt()?;
        if saved.success && !chains(&saved.stdout).is_empty() {
            step.command(restore).arg("--counters").input(without_cluster(&saved.stdout)).run()?;
        }
    }
    Ok(())
}

/// The names of the cluster's chains that exist.
pub(super) fn leftovers(step: &Step) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for (save, _) in FAMILIES {
        let saved = step.command(save).attempt()?;
        found.extend(
            chains(&saved.stdout).into_iter().map(|chain| format!("{} chain {chain}", save.trim_end_matches("-save"))),
        );
    }
    Ok(found)
}

fn chains(saved: &str) -> Vec<&str> {
    saved
        .lines()
        .filter_map(|line| line.strip_prefix(':')?.split(' ').next())
        .filter(|chain| PREFIXES.iter().any(|prefix| chain.starts_with(prefix)))
        .collect()
}

/// Restoring a table replaces it, so what is left out is gone.
fn without_cluster(saved: &str) -> String {
    let chains = chains(saved);
    saved
        .lines()
        .filter(|line| {
            let names = line.trim_start_matches(':').split(' ');
            line.starts_with('#') || !names.into_iter().any(|word| chains.contains(&word))
        })
        .flat_map(|line| [line, "\n"])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_rules_survive_and_the_clusters_go() {
        let saved = "\
*nat
:PREROUTING ACCEPT [1:60]
:DOCKER - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-MARK-MASQ - [0:0]
[5:300] -A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES
[0:0] -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
[0:0] -A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
COMMIT
";
        assert_eq!(
            without_cluster(saved),
            "*nat\n:PREROUTING ACCEPT [1:60]\n:DOCKER - [0:0]\n[0:0] -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\nCOMMIT\n"
        );
        assert_eq!(chains(saved), ["KUBE-SERVICES", "KUBE-MARK-MASQ"]);
    }

    #[test]
    fn a_machine_without_cluster_rules_has_nothing_to_clean() {
        assert!(chains("*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n").is_empty());
    }
}
